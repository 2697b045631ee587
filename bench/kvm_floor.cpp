// The floor of starting a VM: what the kernel alone takes for a VM with an in-kernel irqchip, memory, one vCPU and its first instruction, an OUT
// to port 0xf4 from a ROM's reset vector. No library, no check that a user would need. bench/startup runs it beside nandu and QEMU.
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

namespace {

bool MapSlot(int vm, uint32_t slot, uint64_t guest, void* host, uint64_t bytes) {
  kvm_userspace_memory_region region{};
  region.slot = slot;
  region.guest_phys_addr = guest;
  region.memory_size = bytes;
  region.userspace_addr = reinterpret_cast<uint64_t>(host);
  return ::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

void* Allocate(size_t bytes) { return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); }

}  // namespace

int main() {
  constexpr uint64_t kRomBytes = 64 << 10;
  constexpr uint64_t kRamBytes = 128 << 20;
  constexpr uint64_t kFourGiB = uint64_t{1} << 32;
  const int kvm = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
  const int vm = ::ioctl(kvm, KVM_CREATE_VM, 0);
  ::ioctl(vm, KVM_SET_TSS_ADDR, 0xfeffd000);
  ::ioctl(vm, KVM_CREATE_IRQCHIP, 0);
  auto* rom = static_cast<uint8_t*>(Allocate(kRomBytes));
  void* ram = Allocate(kRamBytes);
  rom[kRomBytes - 16] = 0xe6;  // out 0xf4, al
  rom[kRomBytes - 15] = 0xf4;
  if (!MapSlot(vm, 0, 0, ram, kRamBytes) || !MapSlot(vm, 1, kFourGiB - kRomBytes, rom, kRomBytes)) {
    std::perror("KVM_SET_USER_MEMORY_REGION");
    return 2;
  }
  const int vcpu = ::ioctl(vm, KVM_CREATE_VCPU, 0);
  const auto run_bytes = static_cast<size_t>(::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
  auto* run = static_cast<kvm_run*>(::mmap(nullptr, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0));
  if (::ioctl(vcpu, KVM_RUN, 0) != 0 || run->exit_reason != KVM_EXIT_IO) {
    std::perror("KVM_RUN");
    return 2;
  }
  return 1;
}
