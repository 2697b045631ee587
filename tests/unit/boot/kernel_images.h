// Small kernels made by the test: a bzImage and a PVH ELF image, field by field, with a knob for each way to
// be wrong.
#pragma once

#include <asm/bootparam.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "boot/boot_file.h"

namespace nandu {

// A file of these bytes that needs no directory.
inline UniqueFd MemoryFile(const std::string& bytes) {
  UniqueFd fd(::memfd_create("boot-test", MFD_CLOEXEC));
  if (::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    return UniqueFd();
  }
  return fd;
}

inline BootFile FileOf(const std::string& bytes, const std::string& name = "vmlinuz") {
  return BootFile::FromFd(MemoryFile(bytes), name).value();
}

struct TestKernel {
  uint16_t protocol = 0x20f;
  uint16_t xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G;
  uint8_t loadflags = LOADED_HIGH;
  uint64_t pref_address = 0x1000000;
  uint32_t alignment = 0x200000;
  uint32_t init_size = 0x300000;
  uint32_t cmdline_size = 2047;
  uint32_t initrd_addr_max = 0x7fffffff;
  uint8_t setup_sectors = 3;
  uint32_t kernel_bytes = 0x2000;
  uint32_t magic = 0x53726448;

  // Setup sectors of zeroes around the header, then kernel_bytes of 'K'.
  std::string Bytes() const {
    setup_header header = {};
    header.setup_sects = setup_sectors;
    header.syssize = kernel_bytes / 16;
    header.boot_flag = 0xaa55;
    header.jump = 0x66eb;  // its second byte: the header ends at 0x202 + 0x66
    header.header = magic;
    header.version = protocol;
    header.loadflags = loadflags;
    header.initrd_addr_max = initrd_addr_max;
    header.kernel_alignment = alignment;
    header.relocatable_kernel = 1;
    header.xloadflags = xloadflags;
    header.cmdline_size = cmdline_size;
    header.pref_address = pref_address;
    header.init_size = init_size;
    std::string bytes((setup_sectors + 1u) * 512u, '\0');
    std::memcpy(bytes.data() + 0x1f1, &header, sizeof(header));
    return bytes + std::string(kernel_bytes, 'K');
  }
};

struct TestElf {
  uint32_t entry = 0x1000010;
  uint64_t physical = 0x1000000;
  uint64_t file_bytes = 0x800;
  uint64_t memory_bytes = 0x3000;
  uint16_t machine = EM_X86_64;
  uint32_t note_type = 18;
  std::string note_owner = std::string("Xen\0", 4);

  // One PT_LOAD segment of 'E's and one PT_NOTE segment.
  std::string Bytes() const {
    constexpr size_t kNoteAt = 0x200;
    constexpr size_t kLoadAt = 0x400;
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = machine;
    header.e_phoff = sizeof(header);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    Elf64_Phdr load = {};
    load.p_type = PT_LOAD;
    load.p_offset = kLoadAt;
    load.p_paddr = physical;
    load.p_filesz = file_bytes;
    load.p_memsz = memory_bytes;
    Elf64_Phdr note = {};
    note.p_type = PT_NOTE;
    note.p_offset = kNoteAt;
    note.p_filesz = sizeof(Elf64_Nhdr) + 4 + 8;
    const Elf64_Nhdr note_header = {4, 8, note_type};
    const uint64_t body = entry;
    std::string bytes(kLoadAt, '\0');
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + sizeof(header), &load, sizeof(load));
    std::memcpy(bytes.data() + sizeof(header) + sizeof(load), &note, sizeof(note));
    std::memcpy(bytes.data() + kNoteAt, &note_header, sizeof(note_header));
    std::memcpy(bytes.data() + kNoteAt + sizeof(note_header), note_owner.data(), 4);
    std::memcpy(bytes.data() + kNoteAt + sizeof(note_header) + 4, &body, sizeof(body));
    return bytes + std::string(file_bytes, 'E');
  }
};

}  // namespace nandu
