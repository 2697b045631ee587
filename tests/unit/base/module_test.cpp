#include "base/module.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace nandu {
namespace {

struct NoSuchModule {
  static constexpr uint32_t kAbi = 1;
  static constexpr const char* kName = "nosuch";
  static constexpr const char* kPackage = "libnosuch0";
  ModuleHeader header;
};

class ModuleTest : public ::testing::Test {
 protected:
  ModuleTest() {
    std::string pattern = "/tmp/nandu-module-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~ModuleTest() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(ModuleTest, OneThatIsNotInstalledSaysWhereItBelongs) {
  const auto opened = OpenModule<NoSuchModule>({"/nowhere", directory_});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "the module nosuch.so is not installed; install all of nandu (" + directory_ + ")");
}

TEST_F(ModuleTest, OneThatCannotBeLoadedNamesItsPackage) {
  std::ofstream(directory_ + "/nosuch.so") << "no shared object";
  const auto opened = OpenModule<NoSuchModule>({directory_});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message.find("cannot load the module nosuch: "), 0U) << opened.error().message;
  EXPECT_NE(opened.error().message.find("; it needs the package libnosuch0"), std::string::npos);
}

TEST_F(ModuleTest, ASharedObjectOfSomebodyElseIsRefused) {
  for (const char* libc : {"/lib/x86_64-linux-gnu/libm.so.6", "/usr/lib/libm.so.6"}) {
    if (std::filesystem::exists(libc)) {
      std::filesystem::create_symlink(libc, directory_ + "/nosuch.so");
      break;
    }
  }
  const auto opened = OpenModule<NoSuchModule>({directory_});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, directory_ + "/nosuch.so is no module of nandu's; reinstall nandu");
}

TEST(ModuleDirectories, InstalledOnesComeLast) {
  const std::vector<std::string> directories = ModuleDirectories();
  ASSERT_GE(directories.size(), 2U);
  EXPECT_NE(directories.front().find("/modules"), std::string::npos);
  EXPECT_NE(directories.back().find("/nandu"), std::string::npos);
}

}  // namespace
}  // namespace nandu
