#include "loop/worker_pool.h"

#include <array>
#include <atomic>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <pthread.h>
#include <signal.h>

#include "loop/gate.h"

namespace nandu {
namespace {

TEST(WorkerPool, StartsNoThreadBeforeThereIsWork) {
  const WorkerPool pool("worker", 4);
  EXPECT_EQ(pool.threads(), 0U);
}

TEST(WorkerPool, DestructorFinishesWhatWasSubmitted) {
  std::atomic<int> ran{0};
  auto pool = std::make_unique<WorkerPool>("worker", 3);
  for (int i = 0; i < 500; ++i) {
    pool->Submit([&] { ++ran; });
  }

  pool.reset();

  EXPECT_EQ(ran, 500);
}

TEST(WorkerPool, NeverExceedsItsThreads) {
  WorkerPool pool("worker", 2);
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  for (int i = 0; i < 20; ++i) {
    pool.Submit([gone] { gone.wait(); });
  }

  EXPECT_EQ(pool.threads(), 2U);
  go.set_value();
}

TEST(WorkerPool, RunsSeveralJobsAtOnce) {
  WorkerPool pool("worker", 2);
  std::promise<void> first;
  std::promise<void> second;
  std::promise<void> both;
  pool.Submit([&] {
    first.set_value();
    second.get_future().wait();
    both.set_value();
  });
  pool.Submit([&] {
    first.get_future().wait();
    second.set_value();
  });

  both.get_future().wait();
  SUCCEED();
}

TEST(WorkerPool, RemoveTakesBackWhatHasNotBegun) {
  struct Job : WorkerJob {
    bool ran = false;
  } job;
  job.run = [](WorkerJob* self) { static_cast<Job*>(self)->ran = true; };
  std::promise<void> started;
  std::promise<void> go;
  auto pool = std::make_unique<WorkerPool>("worker", 1);
  pool->Submit([&] {
    started.set_value();
    go.get_future().wait();
  });
  started.get_future().wait();
  pool->Submit(&job);

  EXPECT_TRUE(pool->Remove(&job));
  EXPECT_FALSE(pool->Remove(&job));
  go.set_value();
  pool.reset();

  EXPECT_FALSE(job.ran);
}

TEST(WorkerPool, ThreadsAreNamedAndTakeNoSignals) {
  std::array<char, 16> name{};
  sigset_t mask;
  sigemptyset(&mask);
  auto pool = std::make_unique<WorkerPool>("worker", 1);
  pool->Submit([&] {
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  });

  pool.reset();

  EXPECT_STREQ(name.data(), "worker");
  EXPECT_EQ(sigismember(&mask, SIGTERM), 1);
}

TEST(Gate, ClosedGateLetsNobodyIn) {
  Gate gate;
  bool empty = false;

  gate.Close([&] { empty = true; });

  EXPECT_TRUE(empty);
  EXPECT_FALSE(gate.Enter());
  gate.Open();
  EXPECT_TRUE(gate.Enter());
  gate.Leave();
}

TEST(Gate, CloseWaitsForTheLastOne) {
  Gate gate;
  int empty = 0;
  ASSERT_TRUE(gate.Enter());
  ASSERT_TRUE(gate.Enter());

  gate.Close([&] { ++empty; });
  gate.Leave();
  EXPECT_EQ(empty, 0);
  gate.Leave();

  EXPECT_EQ(empty, 1);
  EXPECT_EQ(gate.in_flight(), 0U);
}

TEST(Gate, MayBeOpenedAgainByTheOneWhoWaited) {
  Gate gate;
  ASSERT_TRUE(gate.Enter());
  gate.Close([&] { gate.Open(); });

  gate.Leave();

  EXPECT_FALSE(gate.closed());
}

}  // namespace
}  // namespace nandu
