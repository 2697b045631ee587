// Preloaded into a VMM by cpuid_view.py: writes what it gives KVM_SET_CPUID2 to the file CPUID_SPY names, so that a comparison sees every bit, also those
// that a host's KVM answers otherwise. A record is a vCPU's fd, the number of entries, and the entries as the kernel has them (kvm_cpuid_entry2).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static int (*real_ioctl)(int fd, unsigned long request, ...);
static int out = -1;

__attribute__((constructor)) static void open_spy(void)
{
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
    const char *path = getenv("CPUID_SPY");
    out = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request == KVM_SET_CPUID2 && out >= 0) {
        const struct kvm_cpuid2 *cpuid = argument;
        const uint32_t head[2] = {(uint32_t)fd, cpuid->nent};
        const size_t bytes = cpuid->nent * sizeof(cpuid->entries[0]);
        if (write(out, head, sizeof(head)) != sizeof(head) || write(out, cpuid->entries, bytes) != (ssize_t)bytes) {
            abort();
        }
    }
    return real_ioctl(fd, request, argument);
}
