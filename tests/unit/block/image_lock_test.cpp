// Image locks among nandu's own, and against the real qemu-img and qemu-system-x86_64 where they are
// installed.
#include "block/image_lock.h"

#include <array>
#include <boost/json/object.hpp>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block_graph.h"

extern char** environ;

namespace nandu {
namespace {

constexpr ImageUse kWriter{kPermissionConsistentRead | kPermissionWrite, kPermissionAll & ~kPermissionWrite};
constexpr ImageUse kReader{kPermissionConsistentRead, kPermissionAll & ~kPermissionWrite};
constexpr ImageUse kSharer{kPermissionConsistentRead | kPermissionWrite, kPermissionAll};

class ImageLockTest : public testing::Test {
 protected:
  ImageLockTest() {
    std::string pattern = "/var/tmp/nandu-lock-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/a.raw";
    const UniqueFd file(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(file.get(), 1 << 20), 0);
  }
  ~ImageLockTest() override { std::filesystem::remove_all(directory_); }

  struct Holder {
    Holder(const std::string& path, Opener& opener)
        : fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)), lock(fd.get(), path, opener) {}
    UniqueFd fd;
    ImageLock lock;
  };
  // "100 101 201": the bytes this lock's description holds.
  static std::string BytesHeld(const Holder& holder) {
    std::string held;
    for (int byte = 90; byte < 220; ++byte) {
      struct flock test {};
      test.l_type = F_WRLCK;
      test.l_start = byte;
      test.l_len = 1;
      // Asked by another description of the same file.
      const UniqueFd other(
          ::open(("/proc/self/fd/" + std::to_string(holder.fd.get())).c_str(), O_RDWR | O_CLOEXEC));
      EXPECT_EQ(::fcntl(other.get(), F_OFD_GETLK, &test), 0);
      held += test.l_type == F_UNLCK ? "" : (held.empty() ? "" : " ") + std::to_string(byte);
    }
    return held;
  }

  std::string directory_;
  std::string path_;
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
};

TEST_F(ImageLockTest, HoldsQemusBytes) {
  Holder holder(path_, *opener_);

  ASSERT_TRUE(holder.lock.Hold(kWriter));
  EXPECT_EQ(BytesHeld(holder), "100 101 201");
  ASSERT_TRUE(holder.lock.Hold(kReader));
  EXPECT_EQ(BytesHeld(holder), "100 201");
  ASSERT_TRUE(holder.lock.Hold({}));
  EXPECT_EQ(BytesHeld(holder), "");
}

TEST_F(ImageLockTest, ReadersShare) {
  Holder first(path_, *opener_);
  Holder second(path_, *opener_);
  EXPECT_TRUE(first.lock.Hold(kReader));
  EXPECT_TRUE(second.lock.Hold(kReader));
}

TEST_F(ImageLockTest, WriterExcludesAllButSharers) {
  for (const ImageUse& other : {kReader, kWriter, kSharer}) {
    Holder first(path_, *opener_);
    Holder second(path_, *opener_);
    ASSERT_TRUE(first.lock.Hold(kWriter));
    const Result<> refused = second.lock.Hold(other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kBusy);
    EXPECT_EQ(BytesHeld(second), "100 101 201") << "the first one's, and nothing left over of the second's";
    ASSERT_TRUE(first.lock.Hold({}));
    EXPECT_TRUE(second.lock.Hold(other));
  }
}

TEST_F(ImageLockTest, SharersShare) {
  Holder first(path_, *opener_);
  Holder second(path_, *opener_);
  EXPECT_TRUE(first.lock.Hold(kSharer));
  EXPECT_TRUE(second.lock.Hold(kSharer));
}

TEST_F(ImageLockTest, ErrorNamesImageAndHolder) {
  Holder first(path_, *opener_);
  Holder second(path_, *opener_);
  ASSERT_TRUE(first.lock.Hold(kWriter));

  const Result<> refused = second.lock.Hold(kWriter);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "cannot lock " + path_ +
                ": another drive of this VM has it; give it once, or use read-only=on on both");
}

// ---- against the real QEMU ----

// A child with its output thrown away.
class Child {
 public:
  explicit Child(const std::vector<std::string>& words) {
    std::vector<char*> argv;
    for (const std::string& word : words) {
      argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    output_.Reset(ends[0]);
    const UniqueFd writer(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, writer.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, writer.get(), 2);
    started_ = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ) == 0;
    ::posix_spawn_file_actions_destroy(&actions);
  }
  ~Child() {
    if (started_) {
      ::kill(pid_, SIGKILL);
      Wait();
    }
  }
  bool started() const { return started_; }
  // Reads until `text` has come, or the end.
  bool WaitForOutput(const std::string& text) {
    std::array<char, 512> some{};
    while (said_.find(text) == std::string::npos) {
      const ssize_t got = ::read(output_.get(), some.data(), some.size());
      if (got <= 0) {
        return false;
      }
      said_.append(some.data(), static_cast<size_t>(got));
    }
    return true;
  }
  int Wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    started_ = false;
    return status;
  }
  const std::string& said() const { return said_; }

 private:
  pid_t pid_ = 0;
  bool started_ = false;
  UniqueFd output_;
  std::string said_;
};

class ImageLockWithQemu : public ImageLockTest {
 protected:
  void SetUp() override {
    for (const char* program : {"/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-img", "/usr/bin/qemu-io"}) {
      if (!std::filesystem::exists(program)) {
        GTEST_SKIP() << program << " is not installed";
      }
    }
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // a daemon is ours to wait for
    const boost::json::object read_only = {{"file", path_}, {"format", "raw"}, {"read-only", "on"}};
    const boost::json::object writable = {{"file", path_}, {"format", "raw"}};
    ASSERT_TRUE(graph_.AddDrive("reader", read_only));
    ASSERT_TRUE(graph_.AddDrive("writer", writable));
  }
  // A stopped VM with the image as its disk. -daemonize: QEMU's first process ends when the second has the
  // image, or with the reason why not.
  struct Vm {
    ~Vm() {
      if (pid > 0) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
      }
    }
    pid_t pid = 0;
    std::string said;
  };
  std::unique_ptr<Vm> StartQemu(const std::string& drive_options) {
    const std::string pidfile = directory_ + "/pid";
    Child qemu({"qemu-system-x86_64", "-accel", "tcg", "-S", "-display", "none", "-nodefaults", "-daemonize",
                "-pidfile", pidfile, "-drive", "file=" + path_ + ",format=raw,if=none,id=d" + drive_options,
                "-device", "virtio-blk-pci,drive=d"});
    auto vm = std::make_unique<Vm>();
    qemu.WaitForOutput("\x01");
    vm->said = qemu.said();
    if (qemu.Wait() == 0) {
      std::ifstream(pidfile) >> vm->pid;
    }
    return vm;
  }

  BlockGraph graph_{*opener_};
};

TEST_F(ImageLockWithQemu, RunningQemuKeepsNanduOut) {
  const auto qemu = StartQemu("");
  ASSERT_GT(qemu->pid, 0) << qemu->said;

  const auto writer = graph_.Claim("writer", "disk");
  const auto reader = graph_.Claim("reader", "disk");

  ASSERT_FALSE(writer);
  ASSERT_FALSE(reader);
  EXPECT_EQ(writer.error().code, Errc::kBusy);
  EXPECT_EQ(writer.error().message, "writer: cannot lock " + path_ + ": held by process " +
                                        std::to_string(qemu->pid) +
                                        " (qemu-system-x86); stop that VM or use read-only=on");
}

TEST_F(ImageLockWithQemu, ReadersOfBothKindsShare) {
  const auto qemu = StartQemu(",readonly=on");
  ASSERT_GT(qemu->pid, 0) << qemu->said;

  EXPECT_TRUE(graph_.Claim("reader", "disk"));
  EXPECT_FALSE(graph_.Claim("writer", "disk"));
}

TEST_F(ImageLockWithQemu, NanduKeepsQemuOut) {
  const auto claimed = graph_.Claim("writer", "disk");
  ASSERT_TRUE(claimed) << claimed.error().message;

  const auto qemu = StartQemu("");
  const auto read_only_qemu = StartQemu(",readonly=on");

  EXPECT_EQ(qemu->pid, 0);
  EXPECT_NE(qemu->said.find("lock"), std::string::npos) << qemu->said;
  EXPECT_EQ(read_only_qemu->pid, 0);
}

TEST_F(ImageLockWithQemu, NanduKeepsQemuImgOut) {
  const auto claimed = graph_.Claim("writer", "disk");
  ASSERT_TRUE(claimed) << claimed.error().message;

  Child resize({"qemu-img", "resize", "-f", "raw", path_, "2M"});
  Child write({"qemu-io", "-f", "raw", "-c", "write 0 512", path_});

  EXPECT_FALSE(resize.WaitForOutput("Image resized")) << resize.said();
  EXPECT_NE(resize.said().find("lock"), std::string::npos) << resize.said();
  EXPECT_FALSE(write.WaitForOutput("wrote 512")) << write.said();
  EXPECT_NE(write.said().find("lock"), std::string::npos) << write.said();
}

TEST_F(ImageLockWithQemu, ReleasedImageIsQemusAndNanduGetsItBack) {
  const auto claimed = graph_.Claim("writer", "disk");
  ASSERT_TRUE(claimed) << claimed.error().message;
  ASSERT_TRUE(graph_.ReleaseImages());
  auto qemu = StartQemu("");
  ASSERT_GT(qemu->pid, 0) << qemu->said;

  EXPECT_FALSE(graph_.ClaimImages());
  qemu.reset();
  EXPECT_TRUE(graph_.ClaimImages());

  Child write({"qemu-io", "-f", "raw", "-c", "write 0 512", path_});
  EXPECT_FALSE(write.WaitForOutput("wrote 512")) << write.said();
}

}  // namespace
}  // namespace nandu
