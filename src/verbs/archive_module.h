// libarchive as the module archive.so brings it: what writing an ISO 9660 image takes, by its functions' own
// names without the prefix. archive_write(3) and archive_entry(3) say what each does. One archive is used by
// one thread at a time.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/module.h"

namespace nandu {

struct ArchiveModule {
  static constexpr uint32_t kAbi = 1;
  static constexpr const char* kName = "archive";
  static constexpr const char* kPackage = "libarchive13";

  ModuleHeader header;
  decltype(&::archive_write_new) write_new;
  decltype(&::archive_write_set_format_iso9660) set_format_iso9660;
  decltype(&::archive_write_set_options) set_options;
  decltype(&::archive_write_open_filename) open_filename;
  decltype(&::archive_write_header) write_header;
  decltype(&::archive_write_data) write_data;
  decltype(&::archive_write_close) close;
  decltype(&::archive_write_free) free;
  decltype(&::archive_error_string) error_string;
  decltype(&::archive_entry_new) entry_new;
  decltype(&::archive_entry_free) entry_free;
  decltype(&::archive_entry_set_pathname) entry_set_pathname;
  decltype(&::archive_entry_set_size) entry_set_size;
  decltype(&::archive_entry_set_filetype) entry_set_filetype;
  decltype(&::archive_entry_set_perm) entry_set_perm;
};

}  // namespace nandu
