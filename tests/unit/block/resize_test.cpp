// block_resize on real files: what grows, who hears of it, and what is refused.
#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "block/block_graph.h"
#include "support/block_request.h"
#include "support/fake_control_loop.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using testing::HasSubstr;

class ResizeTest : public testing::Test {
 protected:
  ResizeTest() {
    std::string pattern = "/var/tmp/nandu-resize-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    image_ = directory_ + "/a.raw";
    const UniqueFd file(::open(image_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(file.get(), 8192), 0);
  }
  ~ResizeTest() override { std::filesystem::remove_all(directory_); }

  void AddDrive(const std::string& id, boost::json::object more) {
    more.emplace("file", image_);
    more.emplace("format", "raw");
    const Result<> added = graph_.AddDrive(id, more);
    ASSERT_TRUE(added) << added.error().message;
  }
  std::string Resize(const std::string& name, uint64_t size) {
    std::string answer = "no answer";
    graph_.Resize(control_, name, size, [&](Result<> result) {
      EXPECT_EQ(answer, "no answer");
      answer = result ? "ok" : result.error().message;
    });
    control_.RunReady();
    return answer;
  }

  std::string directory_;
  std::string image_;
  FakeControlLoop control_;
  EngineLoop loop_;
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  BlockGraph graph_{*opener_};
};

TEST_F(ResizeTest, UserHearsOfTheNewSizeAndItsChannelServesIt) {
  AddDrive("d", {{"node-name", "disk"}});
  const std::shared_ptr<BlockNode> node = graph_.Claim("d", "vda").value();
  const std::unique_ptr<BlockChannel> channel = node->OpenChannel(*loop_).value();
  std::vector<uint64_t> heard;
  node->AddSizeListener(this, [&] { heard.push_back(node->limits().size_bytes); });
  TestRequest early = TestRequest::Write(8192, std::string(512, 'x'));
  channel->Submit(&early);
  loop_.RunUntilIdle();
  EXPECT_EQ(early.status, BlkStatus::kIoError);

  EXPECT_EQ(Resize("d", 16384), "ok");
  EXPECT_EQ(Resize("disk", 20000), "ok");

  EXPECT_EQ(heard, (std::vector<uint64_t>{16384, 20480})) << "whole sectors are shown";
  EXPECT_EQ(std::filesystem::file_size(image_), 20000U);
  TestRequest late = TestRequest::Write(16384, std::string(512, 'x'));
  channel->Submit(&late);
  loop_.RunUntilIdle();
  EXPECT_EQ(late.status, BlkStatus::kOk);
  node->RemoveSizeListener(this);
  EXPECT_EQ(Resize("d", 24576), "ok");
  EXPECT_EQ(heard.size(), 2U);
}

TEST_F(ResizeTest, UserHearsOfASmallerSizeAndWhatIsBeyondItFails) {
  AddDrive("d", {});
  const std::shared_ptr<BlockNode> node = graph_.Claim("d", "vda").value();
  const std::unique_ptr<BlockChannel> channel = node->OpenChannel(*loop_).value();
  std::vector<uint64_t> heard;
  node->AddSizeListener(this, [&] { heard.push_back(node->limits().size_bytes); });

  EXPECT_EQ(Resize("d", 4000), "ok");

  EXPECT_EQ(heard, (std::vector<uint64_t>{4096})) << "whole sectors are shown";
  EXPECT_EQ(std::filesystem::file_size(image_), 4000U);
  TestRequest beyond = TestRequest::Write(4096, std::string(512, 'x'));
  TestRequest last = TestRequest::Write(3584, std::string(512, 'y'));
  channel->Submit(&beyond);
  channel->Submit(&last);
  loop_.RunUntilIdle();
  EXPECT_EQ(beyond.status, BlkStatus::kIoError);
  EXPECT_EQ(last.status, BlkStatus::kOk);
  EXPECT_EQ(std::filesystem::file_size(image_), 4096U) << "nothing lies behind what is shown";
  node->RemoveSizeListener(this);
}

TEST_F(ResizeTest, WhatCannotBeResizedSaysWhy) {
  EXPECT_THAT(Resize("d", 4096), HasSubstr("no drive or node 'd'"));
  AddDrive("part", {{"size", 4096}, {"node-name", "p"}, {"read-only", true}});
  EXPECT_THAT(Resize("part", 8192), HasSubstr("a part of its file"));
  AddDrive("still", {{"read-only", true}});
  EXPECT_THAT(Resize("still", 16384), HasSubstr("it is read-only"));
  ASSERT_TRUE(graph_.AddNode({{"driver", "file"}, {"node-name", "below"}, {"filename", image_}}));
  ASSERT_TRUE(graph_.AddNode({{"driver", "raw"}, {"node-name", "above"}, {"file", "below"}}));
  EXPECT_THAT(Resize("below", 16384), HasSubstr("it is under node 'above'"));
  EXPECT_EQ(Resize("above", 16384), "ok");
  EXPECT_EQ(std::filesystem::file_size(image_), 16384U);
}

TEST_F(ResizeTest, SecondResizeWaitsItsTurn) {
  AddDrive("d", {});
  std::string first;
  graph_.Resize(control_, "d", 16384,
                [&](const Result<>& result) { first = result ? "ok" : result.error().message; });
  std::string second;
  graph_.Resize(control_, "d", 32768,
                [&](const Result<>& result) { second = result ? "ok" : result.error().message; });
  EXPECT_THAT(second, HasSubstr("it is being resized already"));
  control_.RunReady();
  EXPECT_EQ(first, "ok");
  EXPECT_EQ(std::filesystem::file_size(image_), 16384U);
}

TEST_F(ResizeTest, FileSystemThatCannotHoldTheSizeKeepsTheOldOne) {
  AddDrive("d", {});
  const std::shared_ptr<BlockNode> node = graph_.Claim("d", "vda").value();
  EXPECT_THAT(Resize("d", uint64_t{1} << 62), HasSubstr("cannot resize"));
  EXPECT_EQ(node->limits().size_bytes, 8192U);
  EXPECT_EQ(Resize("d", 16384), "ok");
}

}  // namespace
}  // namespace nandu
