// The module archive.so: libarchive, for commands that make a cloud-init seed (verbs/seed.h).
#include "verbs/archive_module.h"

extern "C" __attribute__((visibility("default"))) const nandu::ArchiveModule nandu_module{
    {nandu::kModuleMagic, nandu::ArchiveModule::kAbi, sizeof(nandu::ArchiveModule)},
    ::archive_write_new,
    ::archive_write_set_format_iso9660,
    ::archive_write_set_options,
    ::archive_write_open_filename,
    ::archive_write_header,
    ::archive_write_data,
    ::archive_write_close,
    ::archive_write_free,
    ::archive_error_string,
    ::archive_entry_new,
    ::archive_entry_free,
    ::archive_entry_set_pathname,
    ::archive_entry_set_size,
    ::archive_entry_set_filetype,
    ::archive_entry_set_perm,
};
