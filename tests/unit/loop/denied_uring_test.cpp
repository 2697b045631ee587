// A host that forbids io_uring: a child denies itself io_uring_setup by seccomp, as containers do, and makes
// a loop.
#include <array>
#include <cerrno>
#include <cstdio>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop/io_loop.h"

namespace nandu {
namespace {

using Engine = IoLoopOptions::Engine;

void DenyIoUring() {
  std::array<sock_filter, 4> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

// Says which engine serves and why, then ends.
[[noreturn]] void MakeLoopAndTell(Engine engine) {
  DenyIoUring();
  IoLoopOptions options;
  options.engine = engine;
  const auto loop = IoLoop::Create("iothread0", options);
  if (!loop) {
    std::fprintf(stderr, "%s", loop.error().message.c_str());
    ::_exit(1);
  }
  std::fprintf(stderr, "%s because %s", std::string((*loop)->engine()).c_str(),
               (*loop)->fallback_reason().c_str());
  ::_exit(0);
}

TEST(DeniedUringDeathTest, WorkersServeAndTheReasonIsKept) {
  EXPECT_EXIT(MakeLoopAndTell(Engine::kAuto), testing::ExitedWithCode(0),
              "^threads because io_uring_setup: Operation not permitted$");
}

TEST(DeniedUringDeathTest, AskedForByNameItIsAnError) {
  EXPECT_EXIT(MakeLoopAndTell(Engine::kIoUring), testing::ExitedWithCode(1),
              "^iothread iothread0: io_uring_setup: Operation not permitted$");
}

}  // namespace
}  // namespace nandu
