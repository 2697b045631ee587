// One contract for every BlockNode and engine: what include/nandu/block.h promises, and a long random run
// against a copy in memory.
#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <limits.h>
#include <random>
#include <unistd.h>

#include "block/block_graph.h"
#include "block/qcow2/create.h"
#include "support/block_request.h"
#include "support/fault_block.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using Op = BlockRequest::Op;
using Engine = IoLoopOptions::Engine;

constexpr uint64_t kDiskBytes = 3 * 1024 * 1024 + 512;  // no multiple of a page
constexpr uint64_t kFileBytes = kDiskBytes - 100;       // and the file ends within a sector

struct Subject {
  std::string name;
  Engine engine = Engine::kAuto;
  std::string node;  // -blockdev's options, with FILE for the image; empty: MemoryBlockNode
};

void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.name; }

// An empty image in the place of the file.
void MakeQcow2(const std::string& directory) {
  const auto backend = std::make_shared<FileBackend>();
  backend->path = directory + "/image";
  backend->fd = UniqueFd(::open(backend->path.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC));
  qcow2::BackendFile file(backend);
  qcow2::CreateOptions options;
  options.size_bytes = kDiskBytes;
  const Result<> made = qcow2::Create(file, options);
  EXPECT_TRUE(made) << made.error().message;
}

class BlockContract : public testing::TestWithParam<Subject> {
 protected:
  BlockContract() {
    std::string pattern = "/var/tmp/nandu-block-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    const UniqueFd file(::open((directory_ + "/image").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(file.get(), kFileBytes), 0);
    if (GetParam().node.find("qcow2") != std::string::npos) {
      MakeQcow2(directory_);
    }
    if (GetParam().node.empty()) {
      node_ = std::make_shared<MemoryBlockNode>(kDiskBytes);
    } else {
      std::string options = GetParam().node;
      options.replace(options.find("FILE"), 4, directory_ + "/image");
      const Result<> added = graph_.AddNode(boost::json::parse(options).as_object());
      EXPECT_TRUE(added) << added.error().message;
      auto claimed = graph_.Claim("disk", "the test");
      EXPECT_TRUE(claimed) << claimed.error().message;
      node_ = *claimed;
    }
    channel_ = node_->OpenChannel(*loop_).value();
  }
  ~BlockContract() override { std::filesystem::remove_all(directory_); }

  BlkStatus Serve(TestRequest& request) {
    channel_->Submit(&request);
    loop_.RunUntil([&] { return request.completions != 0; });
    loop_.RunUntilIdle();
    EXPECT_EQ(request.completions, 1);
    return request.status.value_or(BlkStatus::kIoError);
  }

  std::string directory_;
  EngineLoop loop_{GetParam().engine};
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  BlockGraph graph_{*opener_};
  std::shared_ptr<BlockNode> node_;
  std::unique_ptr<BlockChannel> channel_;
};

TEST_P(BlockContract, LimitsAreSane) {
  const BlockLimits limits = node_->limits();
  EXPECT_EQ(limits.size_bytes, kDiskBytes);
  EXPECT_GE(limits.request_alignment, 1U);
  EXPECT_LE(limits.request_alignment, 512U);
  EXPECT_EQ(limits.logical_block_size, 512U);
  EXPECT_FALSE(limits.read_only);
}

TEST_P(BlockContract, NeverCompletesFromWithinSubmit) {
  TestRequest read(Op::kRead, 0, 512);
  TestRequest flush(Op::kFlush);
  TestRequest discard(Op::kDiscard, 0, 512);
  TestRequest zeroes(Op::kWriteZeroes, 512, 512);
  for (TestRequest* request : {&read, &flush, &discard, &zeroes}) {
    channel_->Submit(request);
    EXPECT_FALSE(request->status);
  }

  loop_.RunUntil([&] { return read.status && flush.status && discard.status && zeroes.status; });

  for (TestRequest* request : {&read, &flush, &discard, &zeroes}) {
    EXPECT_EQ(request->status, BlkStatus::kOk);
  }
}

TEST_P(BlockContract, TheLastSectorCanBeWrittenAndRead) {
  TestRequest write = TestRequest::Write(kDiskBytes - 512, std::string(512, 'z'));
  TestRequest read(Op::kRead, kDiskBytes - 1024, 1024);

  EXPECT_EQ(Serve(write), BlkStatus::kOk);
  EXPECT_EQ(Serve(read), BlkStatus::kOk);

  EXPECT_EQ(read.text(), std::string(512, '\0') + std::string(512, 'z'));
}

TEST_P(BlockContract, WhatTheFileLacksReadsAsZeroes) {
  TestRequest read(Op::kRead, kDiskBytes - 512, 512);
  EXPECT_EQ(Serve(read), BlkStatus::kOk);
  EXPECT_EQ(read.text(), std::string(512, '\0'));
}

TEST_P(BlockContract, ManyPiecesMakeOneRequest) {
  constexpr size_t kPieces = 3 * IOV_MAX;
  TestRequest write(Op::kWrite, 4096, kPieces * 16);
  for (size_t i = 0; i < write.memory.size(); ++i) {
    write.memory[i] = static_cast<std::byte>(i * 7);
  }
  write.Cut(std::vector<size_t>(kPieces - 1, 16));
  TestRequest read(Op::kRead, 4096, kPieces * 16);
  read.Cut(std::vector<size_t>(kPieces - 1, 16));

  EXPECT_EQ(Serve(write), BlkStatus::kOk);
  EXPECT_EQ(Serve(read), BlkStatus::kOk);

  EXPECT_EQ(read.memory, write.memory);
}

TEST_P(BlockContract, AChannelMayGoInTheLastCompletion) {
  struct LastRequest : TestRequest {
    using TestRequest::TestRequest;
    std::unique_ptr<BlockChannel>* channel = nullptr;
  } last(Op::kRead, 0, 512);
  last.channel = &channel_;
  last.done = [](BlockRequest* self, BlkStatus) { static_cast<LastRequest*>(self)->channel->reset(); };

  channel_->Submit(&last);
  loop_.RunUntil([&] { return channel_ == nullptr; });

  EXPECT_EQ(channel_, nullptr);
}

// Random requests, several in flight at once on ranges of their own, against a copy in memory.
TEST_P(BlockContract, AgreesWithACopyInMemory) {
  constexpr int kRounds = 100;
  constexpr size_t kInFlight = 8;
  constexpr uint64_t kSectors = kDiskBytes / 512;
  std::mt19937 random(4711);
  std::vector<std::byte> model(kDiskBytes);
  const auto below = [&](uint64_t limit) {
    return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random);
  };

  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::unique_ptr<TestRequest>> requests;
    for (size_t lane = 0; lane < kInFlight; ++lane) {
      const uint64_t lane_sectors = kSectors / kInFlight;
      const uint64_t first = below(lane_sectors);
      const uint64_t last_lane = lane + 1 == kInFlight ? kSectors % kInFlight : 0;
      const uint64_t most = lane_sectors + last_lane - first;
      const uint64_t sectors = 1 + below(std::min<uint64_t>(most, round % 10 == 0 ? 700 : 24));
      constexpr Op kOps[] = {Op::kRead, Op::kWrite, Op::kWrite, Op::kWriteZeroes, Op::kRead, Op::kDiscard};
      auto request =
          std::make_unique<TestRequest>(kOps[below(6)], (lane * lane_sectors + first) * 512, sectors * 512);
      request->fua = below(64) == 0;
      request->may_unmap = below(2) == 0;
      if (request->op == Op::kWrite) {
        const auto fill = static_cast<std::byte>(below(4) == 0 ? 0 : below(256));
        for (size_t i = 0; i < request->memory.size(); ++i) {
          request->memory[i] =
              fill == std::byte{0} ? fill : static_cast<std::byte>(static_cast<size_t>(fill) + i / 64);
        }
      }
      // Pieces of odd lengths at odd addresses.
      std::vector<size_t> lengths;
      for (uint64_t left = request->memory.size(); left > 1 && lengths.size() < 6;) {
        lengths.push_back(1 + below(left - 1));
        left -= lengths.back();
      }
      request->Cut(below(2) == 0 ? std::vector<size_t>{} : lengths);
      channel_->Submit(request.get());
      requests.push_back(std::move(request));
    }
    if (round % 50 == 0) {
      requests.push_back(std::make_unique<TestRequest>(Op::kFlush));
      channel_->Submit(requests.back().get());
    }
    loop_.RunUntil([&] {
      return std::all_of(requests.begin(), requests.end(),
                         [](const auto& each) { return each->status.has_value(); });
    });
    for (const auto& request : requests) {
      ASSERT_EQ(request->status, BlkStatus::kOk);
      const auto at = model.begin() + static_cast<std::ptrdiff_t>(request->offset);
      const auto end = at + static_cast<std::ptrdiff_t>(request->bytes);
      switch (request->op) {
        case Op::kRead: ASSERT_TRUE(std::equal(at, end, request->memory.begin())) << "round " << round; break;
        case Op::kWrite: std::copy(request->memory.begin(), request->memory.end(), at); break;
        case Op::kWriteZeroes: std::fill(at, end, std::byte{0}); break;
        case Op::kDiscard: {  // leaves what it likes: take what is there
          TestRequest read(Op::kRead, request->offset, request->bytes);
          ASSERT_EQ(Serve(read), BlkStatus::kOk);
          std::copy(read.memory.begin(), read.memory.end(), at);
          break;
        }
        case Op::kFlush: break;
      }
    }
  }

  TestRequest all(Op::kRead, 0, kDiskBytes);
  ASSERT_EQ(Serve(all), BlkStatus::kOk);
  EXPECT_EQ(all.memory, model);
}

INSTANTIATE_TEST_SUITE_P(
    Nodes, BlockContract,
    testing::Values(
        Subject{"Memory", Engine::kAuto, ""},
        Subject{"FileIoUring", Engine::kIoUring, R"({"driver":"file","node-name":"disk","filename":"FILE"})"},
        Subject{"FileThreads", Engine::kThreads, R"({"driver":"file","node-name":"disk","filename":"FILE"})"},
        Subject{
            "FileAioThreads", Engine::kIoUring,
            R"({"driver":"file","node-name":"disk","filename":"FILE","aio":"threads","discard":"unmap"})"},
        Subject{
            "DirectIoUring", Engine::kIoUring,
            R"({"driver":"file","node-name":"disk","filename":"FILE","cache":{"direct":true},"discard":"unmap"})"},
        Subject{"DirectThreads", Engine::kThreads,
                R"({"driver":"file","node-name":"disk","filename":"FILE","cache":{"direct":true}})"},
        Subject{"RawDetectsZeroes", Engine::kIoUring,
                R"({"driver":"raw","node-name":"disk","discard":"unmap","detect-zeroes":"unmap",
                    "file":{"driver":"file","filename":"FILE"}})"},
        Subject{"RawUnsafe", Engine::kThreads,
                R"({"driver":"raw","node-name":"disk","cache":{"no-flush":true},
                    "file":{"driver":"file","filename":"FILE"}})"},
        Subject{"Qcow2IoUring", Engine::kIoUring,
                R"({"driver":"qcow2","node-name":"disk","discard":"unmap",
                    "file":{"driver":"file","filename":"FILE"}})"},
        Subject{"Qcow2Threads", Engine::kThreads,
                R"({"driver":"qcow2","node-name":"disk","detect-zeroes":"unmap","discard":"unmap",
                    "file":{"driver":"file","filename":"FILE"}})"},
        Subject{"Qcow2Direct", Engine::kIoUring,
                R"({"driver":"qcow2","node-name":"disk","cache":{"direct":true},
                    "file":{"driver":"file","filename":"FILE"}})"},
        Subject{
            "Qcow2TinyCaches", Engine::kIoUring,
            R"({"driver":"qcow2","node-name":"disk","discard":"unmap","l2-cache-size":512,"l2-cache-entry-size":512,
                    "refcount-cache-size":1,"file":{"driver":"file","filename":"FILE"}})"}),
    [](const testing::TestParamInfo<Subject>& tested) { return tested.param.name; });

}  // namespace
}  // namespace nandu
