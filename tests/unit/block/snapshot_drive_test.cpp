// snapshot=on: the guest's writes reach nobody's image.
#include <boost/json/object.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "block/block_graph.h"
#include "support/block_request.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

class SnapshotDriveTest : public testing::Test {
 protected:
  SnapshotDriveTest() {
    std::string pattern = "/var/tmp/nandu-snapshot-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    image_ = directory_ + "/a.raw";
    std::ofstream(image_) << std::string(8192, 'x');
    std::filesystem::create_directory(directory_ + "/tmp");
    ::setenv("TMPDIR", (directory_ + "/tmp").c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  }
  ~SnapshotDriveTest() override {
    ::unsetenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe)
    std::filesystem::remove_all(directory_);
  }
  std::string Add(const boost::json::object& more) {
    boost::json::object options{{"file", image_}, {"format", "raw"}, {"snapshot", "on"}};
    for (const auto& [key, value] : more) {
      options[key] = value;
    }
    const Result<> added = graph_.AddDrive("disk", options);
    return added ? "ok" : added.error().message;
  }
  std::string Content() const {
    std::ifstream file(image_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string Serve(BlockChannel& channel, TestRequest request) {
    channel.Submit(&request);
    loop_.RunUntil([&] { return request.status.has_value(); });
    EXPECT_EQ(request.status, BlkStatus::kOk);
    return request.text();
  }

  std::string directory_;
  std::string image_;
  EngineLoop loop_;
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  BlockGraph graph_{*opener_};
};

TEST_F(SnapshotDriveTest, WritesAreReadBackAndTheImageStaysAsItIs) {
  ASSERT_EQ(Add({{"node-name", "top"}}), "ok");
  const auto node = graph_.Claim("disk", "vda");
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ((*node)->node_name(), "top");
  EXPECT_EQ((*node)->limits().size_bytes, 8192U);
  const std::unique_ptr<BlockChannel> channel = (*node)->OpenChannel(*loop_).value();
  Serve(*channel, TestRequest::Write(512, std::string(512, 'n')));
  EXPECT_EQ(Serve(*channel, TestRequest(BlockRequest::Op::kRead, 0, 1536)),
            std::string(512, 'x') + std::string(512, 'n') + std::string(512, 'x'));
  EXPECT_EQ(Content(), std::string(8192, 'x'));
}

TEST_F(SnapshotDriveTest, TheOverlayHasNoNameLeft) {
  ASSERT_EQ(Add({}), "ok");
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/tmp"));
  EXPECT_EQ(graph_.InfoOf("disk")->driver, "qcow2");
}

TEST_F(SnapshotDriveTest, AnImageThatMayOnlyBeReadCanStillBeWrittenTo) {
  ASSERT_EQ(::chmod(image_.c_str(), 0400), 0);
  ASSERT_EQ(Add({}), "ok");
  EXPECT_TRUE(graph_.Claim("disk", "vda").has_value());
  EXPECT_FALSE(graph_.InfoOf("disk")->read_only);
}

TEST_F(SnapshotDriveTest, AReadOnlyDriveNeedsNoOverlay) {
  ASSERT_EQ(Add({{"readonly", "on"}}), "ok");
  EXPECT_EQ(graph_.InfoOf("disk")->driver, "raw");
  EXPECT_TRUE(graph_.InfoOf("disk")->read_only);
}

TEST_F(SnapshotDriveTest, TwoMayUseOneImage) {
  ASSERT_EQ(Add({}), "ok");
  ASSERT_TRUE(graph_.AddDrive("other", {{"file", image_}, {"format", "raw"}, {"snapshot", "on"}}));
  const auto first = graph_.Claim("disk", "vda");
  const auto second = graph_.Claim("other", "vdb");
  EXPECT_TRUE(first.has_value());
  EXPECT_TRUE(second.has_value()) << second.error().message;
}

TEST_F(SnapshotDriveTest, NoPlaceForWritesIsASentence) {
  ::setenv("TMPDIR", (directory_ + "/absent").c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  EXPECT_THAT(Add({}), testing::HasSubstr("no room for what is written ($TMPDIR says where)"));
  EXPECT_TRUE(graph_.Nodes().empty());
}

}  // namespace
}  // namespace nandu
