#include "sandbox/opener.h"

#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/limits.h"

namespace nandu {
namespace {

class OpenerTest : public testing::Test {
 protected:
  OpenerTest() {
    std::string pattern = "/tmp/nandu-opener-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~OpenerTest() override { std::filesystem::remove_all(directory_); }
  std::string PathOf(const std::string& name) const { return directory_ + "/" + name; }

  std::string directory_;
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
};

TEST_F(OpenerTest, CreatesAndOpensCloseOnExec) {
  const auto made = opener_->Open(PathOf("a"), O_RDWR | O_CREAT, 0600);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(::fcntl(made->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_TRUE(opener_->Open(PathOf("a"), O_RDONLY));
}

TEST_F(OpenerTest, ErrorNamesThePath) {
  const auto missing = opener_->Open(PathOf("missing"), O_RDONLY);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::kNotFound);
  EXPECT_EQ(missing.error().message, "cannot open " + PathOf("missing") + ": No such file or directory");
}

TEST_F(OpenerTest, DirectoryIsNotAFile) {
  EXPECT_TRUE(opener_->OpenDirectory(directory_));
  EXPECT_FALSE(opener_->OpenDirectory("/proc/self/exe"));
}

TEST_F(OpenerTest, ListensAndConnects) {
  const auto server = opener_->ListenUnix(PathOf("s"));
  ASSERT_TRUE(server) << server.error().message;
  const auto client = opener_->ConnectUnix(PathOf("s"));
  ASSERT_TRUE(client) << client.error().message;
}

TEST_F(OpenerTest, ListensOnAnAbstractName) {
  const auto server = opener_->ListenUnix(directory_ + "#abstract", Opener::UnixNamespace::kAbstract);
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_TRUE(opener_->ConnectUnix(directory_ + "#abstract", Opener::UnixNamespace::kAbstract));
}

TEST_F(OpenerTest, ReplacesAnOldSocketButNoOtherFile) {
  ASSERT_TRUE(opener_->ListenUnix(PathOf("s")));
  EXPECT_TRUE(opener_->ListenUnix(PathOf("s")));

  ASSERT_TRUE(opener_->Open(PathOf("f"), O_RDWR | O_CREAT, 0600));
  const auto refused = opener_->ListenUnix(PathOf("f"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "cannot listen on the unix socket " + PathOf("f") + ": Address already in use");
}

TEST_F(OpenerTest, TooLongASocketPathIsSaid) {
  const auto refused = opener_->ListenUnix("/" + std::string(107, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
}

TEST_F(OpenerTest, RemoveIsContentWithNothingThere) {
  EXPECT_TRUE(opener_->Remove(PathOf("nothing")));
  EXPECT_FALSE(opener_->Remove(directory_));
}

TEST(Limits, RaisesOpenFilesToTheHardLimit) {
  const auto limit = RaiseFileLimit();
  ASSERT_TRUE(limit) << limit.error().message;
  rlimit now{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
  EXPECT_EQ(now.rlim_cur, now.rlim_max);
  EXPECT_EQ(*limit, now.rlim_cur);
}

}  // namespace
}  // namespace nandu
