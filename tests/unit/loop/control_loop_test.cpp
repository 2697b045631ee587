#include "loop/control_loop.h"

#include <array>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string>
#include <thread>
#include <unistd.h>

#include "base/time.h"
#include "base/unique_fd.h"

namespace nandu {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    reader.Reset(ends[0]);
    writer.Reset(ends[1]);
  }
  void Put(const char* text) { EXPECT_GT(::write(writer.get(), text, ::strlen(text)), 0); }
  std::string Get() {
    std::array<char, 64> into{};
    const ssize_t got = ::read(reader.get(), into.data(), into.size());
    return got > 0 ? std::string(into.data(), static_cast<size_t>(got)) : std::string();
  }
  UniqueFd reader, writer;
};

class ControlLoopTest : public testing::Test {
 protected:
  std::unique_ptr<ControlLoop> loop_ = ControlLoop::Create().value();
};

TEST_F(ControlLoopTest, PostRunsInOrderOnTheLoop) {
  std::string order;
  bool on_thread = false;
  loop_->Post([&] { order += 'a'; });
  loop_->Post([&] {
    order += 'b';
    on_thread = loop_->OnThread();
  });

  loop_->RunReady();

  EXPECT_EQ(order, "ab");
  EXPECT_TRUE(on_thread);
}

TEST_F(ControlLoopTest, StopEndsRunFromAnotherThread) {
  std::thread stopper([&] { loop_->Stop(); });

  loop_->Run();

  stopper.join();
  SUCCEED();
}

TEST_F(ControlLoopTest, StopBeforeRunIsNotLostAndRunWorksAgain) {
  bool ran = false;
  loop_->Stop();
  loop_->Run();
  loop_->Post([&] {
    ran = true;
    loop_->Stop();
  });

  loop_->Run();

  EXPECT_TRUE(ran);
}

TEST_F(ControlLoopTest, WatchIsOneShotAndLevelTriggered) {
  Pipe pipe;
  int calls = 0;
  const auto watch = loop_->WatchFd(pipe.reader.get());
  pipe.Put("x");
  watch->WaitReadable([&] { ++calls; });
  loop_->RunReady();
  loop_->RunReady();
  EXPECT_EQ(calls, 1);

  watch->WaitReadable([&] { ++calls; });  // the byte is still there
  loop_->RunReady();

  EXPECT_EQ(calls, 2);
}

TEST_F(ControlLoopTest, CancelledWaitDoesNotCall) {
  Pipe pipe;
  int calls = 0;
  const auto watch = loop_->WatchFd(pipe.reader.get());
  watch->WaitReadable([&] { ++calls; });
  watch->CancelReadable();
  pipe.Put("x");

  loop_->RunReady();
  EXPECT_EQ(calls, 0);
  watch->WaitReadable([&] { ++calls; });
  loop_->RunReady();

  EXPECT_EQ(calls, 1);
}

TEST_F(ControlLoopTest, DestroyedWatchDoesNotCallAndKeepsTheDescriptor) {
  Pipe pipe;
  int calls = 0;
  auto watch = loop_->WatchFd(pipe.reader.get());
  watch->WaitReadable([&] { ++calls; });
  pipe.Put("x");

  watch.reset();
  loop_->RunReady();

  EXPECT_EQ(calls, 0);
  EXPECT_EQ(pipe.Get(), "x");
}

TEST_F(ControlLoopTest, WatchMayDestroyItself) {
  Pipe pipe;
  std::unique_ptr<FdWatch> watch = loop_->WatchFd(pipe.reader.get());
  watch->WaitReadable([&] { watch.reset(); });
  pipe.Put("x");

  loop_->RunReady();

  EXPECT_EQ(watch, nullptr);
}

TEST_F(ControlLoopTest, ReadableAndWritableAreApart) {
  Pipe pipe;
  bool readable = false;
  bool writable = false;
  const auto reader = loop_->WatchFd(pipe.reader.get());
  const auto writer = loop_->WatchFd(pipe.writer.get());
  reader->WaitReadable([&] { readable = true; });
  writer->WaitWritable([&] { writable = true; });

  loop_->RunReady();

  EXPECT_FALSE(readable);
  EXPECT_TRUE(writable);
}

TEST_F(ControlLoopTest, TwoWatchesOfOneDescriptor) {
  Pipe pipe;
  int calls = 0;
  const auto first = loop_->WatchFd(pipe.reader.get());
  const auto second = loop_->WatchFd(pipe.reader.get());
  first->WaitReadable([&] { ++calls; });
  second->WaitReadable([&] { ++calls; });
  pipe.Put("x");

  loop_->RunReady();

  EXPECT_EQ(calls, 2);
}

TEST_F(ControlLoopTest, WatchAfterWatchOfOneDescriptor) {
  Pipe pipe;
  int calls = 0;
  for (int i = 0; i < 3; ++i) {
    const auto watch = loop_->WatchFd(pipe.reader.get());
    watch->WaitReadable([&] { ++calls; });
    pipe.Put("x");
    loop_->RunReady();
    EXPECT_EQ(pipe.Get(), "x");
  }
  EXPECT_EQ(calls, 3);
}

TEST_F(ControlLoopTest, RegularFileIsAlwaysReady) {
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  bool readable = false;
  const auto watch = loop_->WatchFd(file.get());
  watch->WaitReadable([&] { readable = true; });

  loop_->RunReady();

  EXPECT_TRUE(readable);
}

TEST_F(ControlLoopTest, HangUpWakesTheReader) {
  Pipe pipe;
  bool readable = false;
  const auto watch = loop_->WatchFd(pipe.reader.get());
  watch->WaitReadable([&] { readable = true; });
  pipe.writer.Reset();

  loop_->RunReady();

  EXPECT_TRUE(readable);
}

TEST_F(ControlLoopTest, HostTimerFiresOnceAfterItsDelay) {
  const int64_t before = MonotonicNs();
  int fired = 0;
  const auto timer = loop_->CreateHostTimer([&] {
    ++fired;
    loop_->Stop();
  });
  timer->ArmAfter(2'000'000);

  loop_->Run();
  loop_->RunReady();

  EXPECT_EQ(fired, 1);
  EXPECT_GE(MonotonicNs() - before, 2'000'000);
}

TEST_F(ControlLoopTest, CancelledTimerDoesNotFire) {
  int fired = 0;
  const auto timer = loop_->CreateHostTimer([&] { ++fired; });
  const auto stop = loop_->CreateHostTimer([&] { loop_->Stop(); });
  timer->ArmAfter(0);
  timer->Cancel();
  stop->ArmAfter(1'000'000);

  loop_->Run();

  EXPECT_EQ(fired, 0);
}

TEST_F(ControlLoopTest, RearmedTimerFiresForTheNewDeadlineOnly) {
  int fired = 0;
  const auto timer = loop_->CreateHostTimer([&] {
    ++fired;
    loop_->Stop();
  });
  timer->ArmAfter(0);
  timer->ArmAfter(1'000'000);

  loop_->Run();
  loop_->RunReady();

  EXPECT_EQ(fired, 1);
}

TEST_F(ControlLoopTest, SignalsArriveOnTheLoop) {
  int seen = 0;
  const std::array<int, 2> signals = {SIGTERM, SIGHUP};
  loop_->OnSignals(signals, [&](int signal) {
    seen = signal;
    loop_->Stop();
  });
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);

  loop_->Run();

  EXPECT_EQ(seen, SIGTERM);
}

TEST_F(ControlLoopTest, BlockingWorkRunsElsewhereAndComesBack) {
  std::thread::id worker;
  bool back_on_loop = false;
  loop_->RunBlocking([&] { worker = std::this_thread::get_id(); },
                     [&] {
                       back_on_loop = loop_->OnThread();
                       loop_->Stop();
                     });

  loop_->Run();

  EXPECT_NE(worker, std::this_thread::get_id());
  EXPECT_TRUE(back_on_loop);
}

int ThreadCount() {
  int threads = 0;
  DIR* tasks = ::opendir("/proc/self/task");
  while (const dirent* entry = ::readdir(tasks)) {
    threads += entry->d_name[0] != '.' ? 1 : 0;
  }
  ::closedir(tasks);
  return threads;
}

TEST(ControlLoopStart, StartsNoThread) {
  const int before = ThreadCount();

  const auto loop = ControlLoop::Create().value();
  const auto timer = loop->CreateHostTimer([] {});
  timer->ArmAfter(0);
  loop->RunReady();

  EXPECT_EQ(ThreadCount(), before);
}

class VmClockTest : public ControlLoopTest {
 protected:
  std::unique_ptr<VmClock> clock_ = VmClock::Create(*loop_);
};

TEST_F(VmClockTest, StandsStillUntilThawed) {
  EXPECT_EQ(clock_->VmNs(), 0);
  clock_->SetVmNs(5'000);
  EXPECT_EQ(clock_->VmNs(), 5'000);

  clock_->Thaw();
  const int64_t running = clock_->VmNs();
  clock_->Freeze();
  const int64_t frozen = clock_->VmNs();

  EXPECT_GE(running, 5'000);
  EXPECT_GE(frozen, running);
  EXPECT_EQ(clock_->VmNs(), frozen);
}

TEST_F(VmClockTest, TimersFireInDeadlineOrder) {
  std::string order;
  const auto late = clock_->CreateTimer([&] {
    order += 'b';
    loop_->Stop();
  });
  const auto early = clock_->CreateTimer([&] { order += 'a'; });
  late->Arm(2'000'000);
  early->Arm(1'000'000);

  clock_->Thaw();
  loop_->Run();

  EXPECT_EQ(order, "ab");
  EXPECT_GE(clock_->VmNs(), 2'000'000);
}

TEST_F(VmClockTest, FrozenClockFiresNothing) {
  int fired = 0;
  const auto timer = clock_->CreateTimer([&] { ++fired; });
  const auto stop = loop_->CreateHostTimer([&] { loop_->Stop(); });
  clock_->Thaw();
  timer->Arm(clock_->VmNs() + 1'000'000);
  clock_->Freeze();
  stop->ArmAfter(3'000'000);

  loop_->Run();

  EXPECT_EQ(fired, 0);
}

TEST_F(VmClockTest, CancelledTimerDoesNotFire) {
  int fired = 0;
  const auto timer = clock_->CreateTimer([&] { ++fired; });
  const auto last = clock_->CreateTimer([&] { loop_->Stop(); });
  clock_->Thaw();
  timer->Arm(0);
  last->Arm(1);
  timer->Cancel();

  loop_->Run();

  EXPECT_EQ(fired, 0);
}

TEST_F(VmClockTest, TimerMayRearmAndDestroyInItsCallback) {
  int fired = 0;
  std::unique_ptr<Timer> timer;
  timer = clock_->CreateTimer([&] {
    if (++fired < 5) {
      timer->Arm(0);
      return;
    }
    timer.reset();
    loop_->Stop();
  });
  timer->Arm(0);

  clock_->Thaw();
  loop_->Run();

  EXPECT_EQ(fired, 5);
}

TEST_F(VmClockTest, ArmsFromAnyThread) {
  const auto timer = clock_->CreateTimer([&] { loop_->Stop(); });
  clock_->Thaw();
  std::thread vcpu([&] {
    for (int i = 0; i < 1000; ++i) {
      timer->Arm(clock_->VmNs() + 1'000'000'000'000);
      timer->Cancel();
    }
    timer->Arm(clock_->VmNs());
  });

  loop_->Run();

  vcpu.join();
  SUCCEED();
}

}  // namespace
}  // namespace nandu
