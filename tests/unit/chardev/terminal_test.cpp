#include "chardev/terminal.h"

#include <boost/json.hpp>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>

#include "chardev/chardev_set.h"
#include "chardev/chardev_test_support.h"

namespace nandu {
namespace {

struct Pty {
  Pty() {
    int master_fd = -1;
    int slave_fd = -1;
    if (::openpty(&master_fd, &slave_fd, nullptr, nullptr, nullptr) != 0) {
      throw std::runtime_error("no pseudo terminal");
    }
    ::fcntl(master_fd, F_SETFL, O_NONBLOCK);
    master.Reset(master_fd);
    slave.Reset(slave_fd);
  }
  tcflag_t LocalFlags() const {
    termios modes{};
    ::tcgetattr(slave.get(), &modes);
    return modes.c_lflag;
  }
  UniqueFd master, slave;
};

// Standard input and output on the slave while it lives.
struct OnTerminal {
  explicit OnTerminal(const Pty& pty) : input(::dup(0)), output(::dup(1)) {
    ::dup2(pty.slave.get(), 0);
    ::dup2(pty.slave.get(), 1);
  }
  ~OnTerminal() {
    ::dup2(input.get(), 0);
    ::dup2(output.get(), 1);
  }
  UniqueFd input, output;
};

TEST(Terminal, StdioIsRawWhileItLivesAndRestoredAfterwards) {
  const Pty pty;
  const tcflag_t before = pty.LocalFlags();
  const OnTerminal on(pty);
  TurnedLoop loop;
  {
    ChardevSet set(*loop);
    ASSERT_TRUE(set.Add("stdio", "c", {{"signal", "off"}}));
    EXPECT_EQ(pty.LocalFlags() & (ICANON | ECHO | ISIG), 0U);
  }
  EXPECT_EQ(pty.LocalFlags(), before);
}

TEST(Terminal, SignalsStayOursByDefault) {
  const Pty pty;
  const OnTerminal on(pty);
  TurnedLoop loop;
  ChardevSet set(*loop);
  ASSERT_TRUE(set.Add("stdio", "c", {}));
  EXPECT_EQ(pty.LocalFlags() & ISIG, static_cast<tcflag_t>(ISIG));
}

TEST(Terminal, StdioCarriesBothWaysAndLeavesTheSharedFileBlocking) {
  const Pty pty;
  const OnTerminal on(pty);
  TurnedLoop loop;
  ChardevSet set(*loop);
  ASSERT_TRUE(set.Add("stdio", "c", {}));
  const auto chardev = set.Claim("c", "serial0").value();
  Recorder front_end;
  ASSERT_TRUE(chardev->Attach(front_end.FrontEnd()));
  EXPECT_EQ(WriteText(*chardev, "login: "), 7U);
  EXPECT_EQ(ReadNow(pty.master.get()), "login: ");
  ASSERT_EQ(::write(pty.master.get(), "root", 4), 4);
  EXPECT_TRUE(loop.RunUntil([&] { return front_end.data == "root"; }));
  EXPECT_EQ(::fcntl(pty.slave.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(Terminal, StdioIsForOneChardev) {
  const Pty pty;
  const OnTerminal on(pty);
  TurnedLoop loop;
  ChardevSet set(*loop);
  ASSERT_TRUE(set.Add("stdio", "a", {}));
  EXPECT_EQ(set.Add("stdio", "b", {}).error().message,
            "chardev 'b': stdio is in use by another chardev; share one of them with mux=on");
}

TEST(Terminal, EndOfInputEndsTheConnectionAndNotTheOutput) {
  int input[2];
  int output[2];
  ASSERT_EQ(::pipe(input), 0);
  ASSERT_EQ(::pipe(output), 0);
  const UniqueFd saved_input(::dup(0));
  const UniqueFd saved_output(::dup(1));
  ::dup2(input[0], 0);
  ::dup2(output[1], 1);
  TurnedLoop loop;
  ChardevSet set(*loop);
  const Result<> added = set.Add("stdio", "c", {});
  ::dup2(saved_input.get(), 0);
  ::dup2(saved_output.get(), 1);
  ASSERT_TRUE(added);
  const auto chardev = set.Claim("c", "monitor").value();
  Recorder front_end;
  ASSERT_TRUE(chardev->Attach(front_end.FrontEnd()));
  ASSERT_EQ(::write(input[1], "quit", 4), 4);
  ::close(input[1]);
  ::close(input[0]);
  EXPECT_TRUE(loop.RunUntil([&] { return front_end.connections == std::vector<bool>{true, false}; }));
  EXPECT_EQ(front_end.data, "quit");
  EXPECT_EQ(WriteText(*chardev, "bye"), 3U);
  EXPECT_EQ(ReadNow(output[0]), "bye");
  ::close(output[0]);
  ::close(output[1]);
}

TEST(Terminal, AFatalSignalGivesTheTerminalBack) {
  const Pty pty;
  const tcflag_t before = pty.LocalFlags();
  const pid_t child = ::fork();
  if (child == 0) {
    const bool entered =
        TerminalGuard::Enter(pty.slave.get(), TerminalGuard::Signals::kPassToGuest).has_value();
    if (::write(pty.slave.get(), entered ? "y" : "n", 1) == 1) {
      ::raise(SIGABRT);
    }
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  EXPECT_EQ(ReadNow(pty.master.get()), "y");
  EXPECT_EQ(pty.LocalFlags(), before);
}

TEST(Pty, ReportsItsPathAndCarriesBothWays) {
  TurnedLoop loop;
  ChardevSet set(*loop);
  testing::internal::CaptureStdout();
  ASSERT_TRUE(set.Add("pty", "charserial0", {}));
  const std::string said = testing::internal::GetCapturedStdout();
  const auto chardev = set.Claim("charserial0", "serial0").value();
  const std::string path = chardev->filename().substr(4);
  EXPECT_EQ(said, "char device redirected to " + path + " (label charserial0)\n");
  Recorder front_end;
  ASSERT_TRUE(chardev->Attach(front_end.FrontEnd()));
  EXPECT_EQ(WriteText(*chardev, "nobody listens"), 14U);

  UniqueFd user(::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK));
  EXPECT_EQ(WriteText(*chardev, "welcome"), 7U);
  EXPECT_EQ(ReadNow(user.get()), "welcome");
  ASSERT_TRUE(loop.RunUntil([&] { return chardev->connected(); }));
  ASSERT_EQ(::write(user.get(), "hi", 2), 2);
  EXPECT_TRUE(loop.RunUntil([&] { return front_end.data == "hi"; }));
  user.Reset();
  EXPECT_TRUE(loop.RunUntil([&] { return !chardev->connected(); }));
  EXPECT_EQ(front_end.connections, (std::vector<bool>{true, false}));
}

TEST(Pty, AUserThatDoesNotReadBlocksNothing) {
  TurnedLoop loop;
  ChardevSet set(*loop);
  ASSERT_TRUE(set.Add("pty", "p", {}));
  const auto chardev = set.Claim("p", "serial0").value();
  const UniqueFd user(::open(chardev->filename().substr(4).c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK));
  ASSERT_TRUE(loop.RunUntil([&] { return chardev->connected(); }));
  const std::string flood(1 << 20, 'x');
  EXPECT_LT(WriteText(*chardev, flood), flood.size());
}

}  // namespace
}  // namespace nandu
