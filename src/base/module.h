// Modules: shared objects that bring one library each to the few VMs that use it (libslirp brings GLib), so that the binary depends on
// libc alone. A module is a table of plain C functions and no more: what calls them stays in the binary. Control thread, at set-up.
//
//     // foo_module.h                                      // src/modules/foo.cpp, linked with libfoo
//     struct FooModule {                                   #include "room/foo_module.h"
//       ModuleHeader header;                               extern "C" const FooModule nandu_module{
//       decltype(&::foo_new) create;                           {kModuleMagic, FooModule::kAbi, sizeof(FooModule)}, ::foo_new};
//       static constexpr uint32_t kAbi = 1;                // CMakeLists.txt: nandu_module(foo LIBRARIES ...)
//       static constexpr const char* kName = "foo";
//       static constexpr const char* kPackage = "libfoo0";
//     };
//     const FooModule* foo = TRY(OpenModule<FooModule>());
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace nandu {

inline constexpr uint32_t kModuleMagic = 0x4d444e4e;  // "NNDM"

// What every module's table begins with. A table that differs in any of it was built for another nandu.
struct ModuleHeader {
  uint32_t magic = 0;
  uint32_t abi = 0;         // grows when a table's members change their meaning
  uint32_t size_bytes = 0;  // of the table
};

namespace internal {
// The table of NAME.so; it stays mapped. Opening it again is cheap. `package` says what may be missing.
Result<const ModuleHeader*> OpenModule(std::string_view name, std::string_view package, const ModuleHeader& wanted,
                                       const std::vector<std::string>& directories);
}  // namespace internal

// Where modules are looked for, in order: beside the running program's build, then where it was installed.
std::vector<std::string> ModuleDirectories();

template <class Table>
Result<const Table*> OpenModule(const std::vector<std::string>& directories = ModuleDirectories()) {
  const ModuleHeader* header = TRY(internal::OpenModule(
      Table::kName, Table::kPackage, {kModuleMagic, Table::kAbi, sizeof(Table)}, directories));
  return reinterpret_cast<const Table*>(header);
}

}  // namespace nandu
