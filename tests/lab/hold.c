// Keeps KVM's static keys on for as long as the nested machine lives; started there by the lab.
//
// Creating the first VM, destroying the last one, and creating a vCPU whose local APIC is off each switch a static key:
// Linux rewrites hot code, such as the scheduler's, through a breakpoint instruction. QEMU before 8.1 can translate that
// breakpoint on one CPU while another one replaces it, and keeps the translation: the CPU then takes breakpoints for
// ever. One VM with and one without an in-kernel APIC, which never run, keep each of the keys above zero.
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int Fail(const char *what)
{
    perror(what);
    return 1;
}

int main(void)
{
    const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) return Fail("/dev/kvm");

    const int with_apic = ioctl(kvm, KVM_CREATE_VM, 0);
    if (with_apic < 0 || ioctl(with_apic, KVM_CREATE_IRQCHIP, 0) < 0) return Fail("KVM_CREATE_IRQCHIP");
    // A local APIC starts disabled by software (apic_sw_disabled); a clear enable bit disables it by hardware too
    // (apic_hw_disabled).
    const int vcpu = ioctl(with_apic, KVM_CREATE_VCPU, 0);
    struct kvm_sregs sregs;
    if (vcpu < 0 || ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0) return Fail("KVM_GET_SREGS");
    sregs.apic_base &= ~(1ull << 11);
    if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0) return Fail("KVM_SET_SREGS");

    const int without_apic = ioctl(kvm, KVM_CREATE_VM, 0);
    if (without_apic < 0 || ioctl(without_apic, KVM_CREATE_VCPU, 0) < 0) return Fail("KVM_CREATE_VCPU");

    puts("holding");
    fclose(stdout);
    for (;;) pause();
}
