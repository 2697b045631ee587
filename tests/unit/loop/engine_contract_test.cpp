// One contract, both engines: everything EventLoop and IoRing promise (loop/event_loop.h).
#include <array>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/unique_fd.h"
#include "loop/io_loop.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using Engine = IoLoopOptions::Engine;

// An operation that records how it ended.
struct RecordedOp : IoOp {
  RecordedOp() {
    done = [](IoOp* op, int32_t value) {
      auto* self = static_cast<RecordedOp*>(op);
      self->result = value;
      ++self->completions;
    };
  }
  int32_t result = 0x7fffffff;
  int completions = 0;
};

UniqueFd TemporaryFile() {
  std::string path = "/var/tmp/nandu-loop-XXXXXX";
  UniqueFd fd(::mkstemp(path.data()));
  ::unlink(path.c_str());
  return fd;
}

UniqueFd EventFd(int flags = 0) { return UniqueFd(::eventfd(0, EFD_CLOEXEC | flags)); }

void Signal(const UniqueFd& eventfd, uint64_t value = 1) {
  ASSERT_EQ(::write(eventfd.get(), &value, sizeof(value)), 8);
}

iovec VecOf(std::string& text) { return {text.data(), text.size()}; }

std::string EngineName(const testing::TestParamInfo<Engine>& tested) {
  return tested.param == Engine::kIoUring ? "IoUring" : "Threads";
}

class EngineContract : public testing::TestWithParam<Engine> {
 protected:
  EngineLoop loop_{GetParam()};
};

TEST_P(EngineContract, WritesAndReadsBack) {
  const UniqueFd file = TemporaryFile();
  std::string out = "the quick brown fox";
  std::string left(4, '.');
  std::string right(15, '.');
  const iovec write_vec = VecOf(out);
  const std::array<iovec, 2> read_vecs = {VecOf(left), VecOf(right)};
  RecordedOp write;
  RecordedOp read;

  loop_->ring().Writev(file.get(), {&write_vec, 1}, 4096, 0, &write);
  loop_.RunUntilIdle();
  loop_->ring().Readv(file.get(), read_vecs, 4096, &read);
  loop_.RunUntilIdle();

  EXPECT_EQ(write.result, 19);
  EXPECT_EQ(read.result, 19);
  EXPECT_EQ(left + right, out);
}

TEST_P(EngineContract, NeverCompletesFromWithinTheCall) {
  const UniqueFd file = TemporaryFile();
  std::string out = "x";
  const iovec vec = VecOf(out);
  RecordedOp write;
  RecordedOp run;
  RecordedOp poll;

  loop_->ring().Writev(file.get(), {&vec, 1}, 0, 0, &write);
  loop_->ring().Run([] { return 5; }, &run);
  loop_->ring().PollReadable(file.get(), &poll);

  EXPECT_EQ(write.completions + run.completions + poll.completions, 0);
  loop_.RunUntilIdle();
  EXPECT_EQ(write.completions + run.completions + poll.completions, 3);
}

TEST_P(EngineContract, ReadPastTheEndAnswersZero) {
  const UniqueFd file = TemporaryFile();
  std::string into(8, '.');
  const iovec vec = VecOf(into);
  RecordedOp read;

  loop_->ring().Readv(file.get(), {&vec, 1}, 1 << 20, &read);
  loop_.RunUntilIdle();

  EXPECT_EQ(read.result, 0);
}

TEST_P(EngineContract, ErrorsAreNegativeErrno) {
  std::string out = "x";
  const iovec vec = VecOf(out);
  const UniqueFd read_only(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  RecordedOp write;
  RecordedOp bad_fd;

  loop_->ring().Writev(read_only.get(), {&vec, 1}, 0, 0, &write);
  loop_->ring().Fsync(-1, true, &bad_fd);
  loop_.RunUntilIdle();

  EXPECT_EQ(write.result, -EBADF);
  EXPECT_EQ(bad_fd.result, -EBADF);
}

TEST_P(EngineContract, SyncsAndWritesThrough) {
  const UniqueFd file = TemporaryFile();
  std::string out = "x";
  const iovec vec = VecOf(out);
  RecordedOp write;
  RecordedOp all;
  RecordedOp data;

  loop_->ring().Writev(file.get(), {&vec, 1}, 0, RWF_DSYNC, &write);
  loop_->ring().Fsync(file.get(), false, &all);
  loop_->ring().Fsync(file.get(), true, &data);
  loop_.RunUntilIdle();

  EXPECT_EQ(write.result, 1);
  EXPECT_EQ(all.result, 0);
  EXPECT_EQ(data.result, 0);
}

TEST_P(EngineContract, FallocateGrowsTheFile) {
  const UniqueFd file = TemporaryFile();
  RecordedOp grow;

  loop_->ring().Fallocate(file.get(), 0, 4096, 8192, &grow);
  loop_.RunUntilIdle();

  struct stat status {};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  EXPECT_EQ(grow.result, 0);
  EXPECT_EQ(status.st_size, 12288);
}

TEST_P(EngineContract, PollCompletesWhenReady) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  RecordedOp readable;
  RecordedOp writable;

  loop_->ring().PollReadable(reader.get(), &readable);
  loop_->ring().PollWritable(writer.get(), &writable);
  loop_.RunUntil([&] { return writable.completions == 1; });
  EXPECT_EQ(readable.completions, 0);
  ASSERT_EQ(::write(writer.get(), "x", 1), 1);
  loop_.RunUntilIdle();

  EXPECT_EQ(writable.result & POLLOUT, POLLOUT);
  EXPECT_EQ(readable.result & POLLIN, POLLIN);
}

TEST_P(EngineContract, CancelEndsAPoll) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  RecordedOp poll;

  loop_->ring().PollReadable(reader.get(), &poll);
  loop_->Turn(LoopCore::Wait::kNo);
  loop_->ring().Cancel(&poll);
  EXPECT_EQ(poll.completions, 0);
  loop_.RunUntilIdle();

  EXPECT_EQ(poll.completions, 1);
  EXPECT_EQ(poll.result, -ECANCELED);
}

TEST_P(EngineContract, CancelEndsAReadThatMayNeverEnd) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  std::string into(8, '.');
  const iovec vec = VecOf(into);
  RecordedOp read;
  RecordedOp barrier;
  loop_->ring().Readv(reader.get(), {&vec, 1}, 0, &read);
  loop_->ring().Run([] { return 0; }, &barrier);
  loop_.RunUntil([&] { return barrier.completions == 1; });

  loop_->ring().Cancel(&read);
  loop_.RunUntilIdle();

  EXPECT_EQ(read.completions, 1);
  EXPECT_TRUE(read.result == -ECANCELED || read.result == -EINTR) << read.result;
}

// The worker that tries the read first may not have told the loop yet that it will have to wait.
TEST_P(EngineContract, CancelOfAReadThatHasBegunEndsIt) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  std::string into(8, '.');
  const iovec vec = VecOf(into);
  EngineLoop loop(GetParam(), 1);
  RecordedOp read;
  RecordedOp second;
  std::promise<void> tried;

  loop->ring().Readv(reader.get(), {&vec, 1}, 0, &read);
  loop->ring().Run(
      [&] {
        tried.set_value();  // by the one worker, after the read
        return 0;
      },
      &second);
  tried.get_future().wait();
  loop->ring().Cancel(&read);
  loop.RunUntilIdle();

  EXPECT_EQ(read.completions, 1);
  EXPECT_TRUE(read.result == -ECANCELED || read.result == -EINTR) << read.result;
}

TEST_P(EngineContract, StreamReadWaitsForData) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  std::string into(8, '.');
  const iovec vec = VecOf(into);
  RecordedOp read;

  loop_->ring().Readv(reader.get(), {&vec, 1}, 0, &read);
  loop_->Turn(LoopCore::Wait::kNo);
  ASSERT_EQ(::write(writer.get(), "abc", 3), 3);
  loop_.RunUntilIdle();

  EXPECT_EQ(read.result, 3);
  EXPECT_EQ(into, "abc.....");
}

TEST_P(EngineContract, CancelOfAFinishedOperationIsHarmless) {
  const UniqueFd file = TemporaryFile();
  std::string out = "x";
  const iovec vec = VecOf(out);
  RecordedOp write;

  loop_->ring().Writev(file.get(), {&vec, 1}, 0, 0, &write);
  loop_->Turn(LoopCore::Wait::kNo);
  loop_->ring().Cancel(&write);
  loop_.RunUntilIdle();

  EXPECT_EQ(write.completions, 1);
}

TEST_P(EngineContract, RunReturnsWhatTheWorkReturned) {
  RecordedOp run;
  std::thread::id worker;

  loop_->ring().Run(
      [&] {
        worker = std::this_thread::get_id();
        return -ENOTTY;
      },
      &run);
  loop_.RunUntilIdle();

  EXPECT_EQ(run.result, -ENOTTY);
  EXPECT_NE(worker, std::this_thread::get_id());
}

TEST_P(EngineContract, PostedWorkRunsInOrder) {
  std::string order;
  loop_->Post([&] { order += 'a'; });
  loop_->Post([&] {
    order += 'b';
    loop_->Post([&] { order += 'd'; });
  });
  loop_->Post([&] { order += 'c'; });

  loop_.RunUntilIdle();

  EXPECT_EQ(order, "abcd");
}

TEST_P(EngineContract, WatchServesBothKindsOfEventfd) {
  const UniqueFd blocking = EventFd();
  const UniqueFd nonblocking = EventFd(EFD_NONBLOCK);
  int first = 0;
  int second = 0;
  const auto watch_first = loop_->Watch(blocking.get(), [&] { ++first; });
  const auto watch_second = loop_->Watch(nonblocking.get(), [&] { ++second; });

  Signal(blocking, 3);
  Signal(nonblocking, 3);
  loop_.RunUntil([&] { return first > 0 && second > 0; });
  Signal(blocking);
  Signal(nonblocking);
  loop_.RunUntil([&] { return first > 1 && second > 1; });

  EXPECT_EQ(first, 2);
  EXPECT_EQ(second, 2);
  pollfd counter{blocking.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&counter, 1, 0), 0) << "the counter was read back to 0";
}

TEST_P(EngineContract, DestroyedWatchLeavesTheSignalToTheNext) {
  const UniqueFd eventfd = EventFd();
  int old_calls = 0;
  int new_calls = 0;
  auto old_watch = loop_->Watch(eventfd.get(), [&] { ++old_calls; });
  loop_->Turn(LoopCore::Wait::kNo);
  Signal(eventfd);

  old_watch.reset();
  const auto new_watch = loop_->Watch(eventfd.get(), [&] { ++new_calls; });
  loop_.RunUntil([&] { return new_calls > 0; });

  EXPECT_EQ(old_calls, 0);
  EXPECT_EQ(new_calls, 1);
}

TEST_P(EngineContract, WatchMayEndItselfAndAnother) {
  const UniqueFd first = EventFd();
  const UniqueFd second = EventFd();
  int calls = 0;
  std::unique_ptr<EventWatch> watch_first;
  std::unique_ptr<EventWatch> watch_second;
  const auto end_both = [&] {
    ++calls;
    watch_first.reset();
    watch_second.reset();
  };
  watch_first = loop_->Watch(first.get(), end_both);
  watch_second = loop_->Watch(second.get(), end_both);
  Signal(first);
  Signal(second);

  loop_.RunUntil([&] { return calls > 0; });
  loop_.RunUntilIdle();

  EXPECT_EQ(calls, 1);
}

TEST_P(EngineContract, ManyInFlightEachCompleteOnce) {
  constexpr size_t kCount = 6000;  // more than either queue of the ring holds
  const UniqueFd file = TemporaryFile();
  std::vector<uint64_t> values(kCount);
  std::vector<iovec> vecs(kCount);
  std::vector<RecordedOp> ops(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    values[i] = i * 0x9e3779b97f4a7c15;
    vecs[i] = {&values[i], sizeof(values[i])};
    loop_->ring().Writev(file.get(), {&vecs[i], 1}, i * sizeof(values[i]), 0, &ops[i]);
  }

  loop_.RunUntilIdle();

  std::vector<uint64_t> read_back(kCount);
  ASSERT_EQ(::pread(file.get(), read_back.data(), kCount * 8, 0), static_cast<ssize_t>(kCount * 8));
  EXPECT_EQ(read_back, values);
  EXPECT_TRUE(std::all_of(ops.begin(), ops.end(),
                          [](const RecordedOp& op) { return op.completions == 1 && op.result == 8; }));
}

TEST_P(EngineContract, CompletionMaySubmitMore) {
  struct Chain : IoOp {
    EngineLoop* loop = nullptr;
    int fd = -1;
    int left = 1000;
    char byte = 'x';
    iovec vec{&byte, 1};
  } chain;
  const UniqueFd file = TemporaryFile();
  chain.loop = &loop_;
  chain.fd = file.get();
  chain.done = [](IoOp* op, int32_t) {
    auto* self = static_cast<Chain*>(op);
    --self->left;
    self->left > 0 ? (*self->loop)->ring().Writev(self->fd, {&self->vec, 1}, 0, 0, self) : void();
  };

  loop_->ring().Writev(file.get(), {&chain.vec, 1}, 0, 0, &chain);
  loop_.RunUntilIdle();

  EXPECT_EQ(chain.left, 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, EngineContract, testing::Values(Engine::kIoUring, Engine::kThreads),
                         EngineName);

// The same loop with its own thread.
class LoopThread : public testing::TestWithParam<Engine> {
 protected:
  std::unique_ptr<IoLoop> Make(int64_t poll_max_ns = 0) {
    IoLoopOptions options;
    options.engine = GetParam();
    options.poll_max_ns = poll_max_ns;
    auto loop = IoLoop::Create("iothread0", options);
    EXPECT_TRUE(loop) << loop.error().message;
    EXPECT_TRUE((*loop)->Start());
    return std::move(loop).value();
  }
};

TEST_P(LoopThread, IsNamedAfterItsIothread) {
  const auto loop = Make();
  std::array<char, 16> name{};
  loop->Post([&] { ::pthread_getname_np(::pthread_self(), name.data(), name.size()); });

  loop->Stop();

  EXPECT_STREQ(name.data(), "IO iothread0");
  EXPECT_GT(loop->thread_id(), 0);
}

TEST_P(LoopThread, StopRunsWhatWasPostedBefore) {
  const auto loop = Make();
  int ran = 0;
  for (int i = 0; i < 1000; ++i) {
    loop->Post([&] { ++ran; });
  }

  loop->Stop();

  EXPECT_EQ(ran, 1000);
}

TEST_P(LoopThread, StopWaitsForWhatIsInFlight) {
  const UniqueFd file = TemporaryFile();
  std::string out(1 << 20, 'x');
  const iovec vec = VecOf(out);
  RecordedOp write;
  const auto loop = Make();
  loop->Post([&] { loop->ring().Writev(file.get(), {&vec, 1}, 0, 0, &write); });

  loop->Stop();

  EXPECT_EQ(write.completions, 1);
  EXPECT_EQ(write.result, 1 << 20);
}

TEST_P(LoopThread, KeepsEachPostersOrder) {
  constexpr int kPosters = 4;
  constexpr int kEach = 2000;
  std::array<std::vector<int>, kPosters> seen;
  const auto loop = Make();
  std::vector<std::thread> posters;
  for (size_t poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back([&, poster] {
      for (int i = 0; i < kEach; ++i) {
        loop->Post([&seen, poster, i] { seen[poster].push_back(i); });
      }
    });
  }
  for (std::thread& poster : posters) {
    poster.join();
  }

  loop->Stop();

  std::vector<int> expected(kEach);
  for (int i = 0; i < kEach; ++i) {
    expected[static_cast<size_t>(i)] = i;
  }
  EXPECT_EQ(seen, (std::array<std::vector<int>, kPosters>{expected, expected, expected, expected}));
}

// A ping-pong over two loops by eventfds: what a doorbell and an irqfd do.
TEST_P(LoopThread, EventfdsWakeALoopAcrossThreads) {
  for (const int64_t poll_max_ns : {0, 32768}) {
    const UniqueFd ping = EventFd();
    const UniqueFd pong = EventFd();
    std::unique_ptr<EventWatch> watch;
    const auto loop = Make(poll_max_ns);
    loop->Post([&] {
      watch = loop->Watch(
          ping.get(), [&] { Signal(pong); }, [] { return false; });
    });
    for (int i = 0; i < 500; ++i) {
      uint64_t value = 0;
      Signal(ping);
      ASSERT_EQ(::read(pong.get(), &value, sizeof(value)), 8);
      ASSERT_EQ(value, 1U);
    }
    loop->Post([&] { watch.reset(); });
    loop->Stop();
  }
}

TEST_P(LoopThread, BusyPollingFindsWorkWithoutASignal) {
  const UniqueFd doorbell = EventFd();
  const UniqueFd answer = EventFd();
  std::atomic<int> work{0};
  std::atomic<bool> found_by_poll{false};
  std::unique_ptr<EventWatch> watch;
  const auto loop = Make(1'000'000'000);
  loop->Post([&] {
    watch = loop->Watch(
        doorbell.get(),
        [&] {
          found_by_poll = found_by_poll || work.exchange(0) == 2;
          Signal(answer);
        },
        [&] { return work.load() == 2; });
  });
  uint64_t value = 0;
  for (int i = 0; i < 4; ++i) {  // quick answers teach the loop to poll
    work = 1;
    Signal(doorbell);
    ASSERT_EQ(::read(answer.get(), &value, sizeof(value)), 8);
  }

  work = 2;
  loop->Post([] {});
  ASSERT_EQ(::read(answer.get(), &value, sizeof(value)), 8);

  EXPECT_TRUE(found_by_poll);
  loop->Post([&] { watch.reset(); });
  loop->Stop();
}

TEST_P(LoopThread, LeftOverWatchIsClosedWithTheLoop) {
  const UniqueFd eventfd = EventFd();
  std::unique_ptr<EventWatch> watch;
  auto loop = Make();
  loop->Post([&] { watch = loop->Watch(eventfd.get(), [] {}); });

  loop->Stop();
  watch.reset();

  SUCCEED();
}

INSTANTIATE_TEST_SUITE_P(Engines, LoopThread, testing::Values(Engine::kIoUring, Engine::kThreads),
                         EngineName);

}  // namespace
}  // namespace nandu
