// Prints where this processor itself keeps each XSAVE component: index, size, offset and flags (SDM volume 1, 13.2:
// CPUID leaf 0xd). QEMU asks the processor, whatever KVM supports.
#include <cpuid.h>
#include <stdio.h>

int main(void) {
  for (unsigned index = 2; index < 63; index++) {
    unsigned size = 0, offset = 0, flags = 0, unused = 0;
    if (__get_cpuid_count(0xd, index, &size, &offset, &flags, &unused) && size != 0) {
      printf("%u %u %u %u\n", index, size, offset, flags);
    }
  }
  return 0;
}
