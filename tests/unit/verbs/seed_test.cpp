// What cloud-init is told.
#include "verbs/seed.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nandu {
namespace {

using testing::HasSubstr;

class SeedTest : public testing::Test {
 protected:
  SeedTest() {
    std::string pattern = "/var/tmp/nandu-seed-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~SeedTest() override { std::filesystem::remove_all(directory_); }
  std::string Put(const std::string& name, const std::string& content) {
    std::ofstream(directory_ + "/" + name) << content;
    return directory_ + "/" + name;
  }
  static std::string UserData(const SeedOptions& options) {
    const auto files = SeedFiles(options, "web");
    return files ? files->at("user-data") : files.error().message;
  }
  std::string directory_;
};

TEST_F(SeedTest, AUserOfItsOwn) {
  SeedOptions options;
  options.user = "me";
  options.password = "it's \"x\"";
  options.ssh_key = "ssh-ed25519 AAAA me@host";
  EXPECT_EQ(
      UserData(options),
      "#cloud-config\n"
      R"({"ssh_pwauth": true, "users": ["default", {"ssh_authorized_keys": ["ssh-ed25519 AAAA me@host"], "plain_text_passwd": "it's \"x\"", )"
      R"("lock_passwd": false, "name": "me", "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}]})"
      "\n");
  EXPECT_EQ(SeedFiles(options, "web")->at("meta-data"),
            "{\"instance-id\": \"nandu-web\", \"local-hostname\": \"web\"}\n");
}

TEST_F(SeedTest, TheImagesUser) {
  SeedOptions options;
  options.password = "p";
  EXPECT_EQ(
      UserData(options),
      "#cloud-config\n{\"ssh_pwauth\": true, \"password\": \"p\", \"chpasswd\": {\"expire\": false}}\n");
}

TEST_F(SeedTest, KeysComeFromAFile) {
  SeedOptions options;
  options.ssh_key = Put("keys.pub", "# mine\nssh-ed25519 A a\n\necdsa-sha2-nistp256 B b\n");
  EXPECT_THAT(UserData(options),
              HasSubstr(R"("ssh_authorized_keys": ["ssh-ed25519 A a", "ecdsa-sha2-nistp256 B b"])"));
  options.ssh_key = Put("id", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
  EXPECT_THAT(UserData(options), HasSubstr("is a private key"));
  options.ssh_key = directory_ + "/absent";
  EXPECT_THAT(UserData(options), HasSubstr("--ssh-key: cannot read"));
}

TEST_F(SeedTest, ADirectoryIsTakenAsItIs) {
  Put("user-data", "#cloud-config\n");
  SeedOptions options;
  options.directory = directory_;
  EXPECT_THAT(UserData(options), HasSubstr("has no file meta-data"));
  Put("meta-data", "instance-id: x\n");
  Put("network-config", "version: 2\n");
  const auto files = SeedFiles(options, "web");
  ASSERT_TRUE(files.has_value());
  EXPECT_EQ(files->size(), 3U);
  EXPECT_EQ(files->at("network-config"), "version: 2\n");
  options.user = "me";
  EXPECT_THAT(UserData(options), HasSubstr("brings the users itself"));
}

TEST_F(SeedTest, TheImageHasItsLabelAndItsFiles) {
  const std::string path = directory_ + "/seed.iso";
  const auto written = WriteSeed(path, {{"user-data", "#cloud-config\n"}, {"meta-data", "m"}});
  ASSERT_TRUE(written.has_value()) << written.error().message;
  std::ifstream file(path, std::ios::binary);
  const std::string iso{std::istreambuf_iterator<char>(file), {}};
  ASSERT_GT(iso.size(), size_t{20} * 2048);
  EXPECT_EQ(iso.substr(16 * 2048 + 1, 5), "CD001");
  // ECMA-119, 8.4.7 and 7.4: the volume's name is of capitals there; Joliet's, which Linux goes by, is as it
  // was given.
  EXPECT_EQ(iso.substr(16 * 2048 + 40, 8), "CIDATA  ");
  EXPECT_NE(iso.find(std::string("\0c\0i\0d\0a\0t\0a", 12)), std::string::npos);
  EXPECT_NE(iso.find("#cloud-config\n"), std::string::npos);
  EXPECT_NE(iso.find(std::string("\0u\0s\0e\0r\0-\0d\0a\0t\0a", 18)), std::string::npos) << "Joliet";
  EXPECT_THAT(WriteSeed(directory_ + "/absent/seed.iso", {}).error().message, HasSubstr("cannot write"));
}

}  // namespace
}  // namespace nandu
