// qcow2 in the block graph: chains, what they open by themselves, and what a guest must not make them open.
#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "block/block_graph.h"
#include "block/qcow2/create.h"
#include "support/block_request.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using Op = BlockRequest::Op;

class Qcow2Graph : public testing::Test {
 protected:
  Qcow2Graph() {
    std::string pattern = "/var/tmp/nandu-qcow2-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~Qcow2Graph() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  void MakeRaw(const std::string& name, const std::string& content) {
    const UniqueFd file(::open(Path(name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(file.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  }
  void MakeQcow2(const std::string& name, const std::string& backing = "", const std::string& format = "") {
    qcow2::CreateOptions options;
    options.size_bytes = 1 << 20;
    options.backing_file = backing;
    options.backing_format = format;
    const auto backend = std::make_shared<FileBackend>();
    backend->path = Path(name);
    backend->fd = UniqueFd(::open(Path(name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    qcow2::BackendFile file(backend);
    ASSERT_TRUE(qcow2::Create(file, options));
  }
  // What the format extension says goes, as older tools leave it out.
  void ForgetBackingFormat(const std::string& name) {
    const UniqueFd file(::open(Path(name).c_str(), O_RDWR | O_CLOEXEC));
    const qcow2::big_uint32_t unknown(0x12345678);
    ASSERT_EQ(::pwrite(file.get(), &unknown, 4, sizeof(qcow2::HeaderWire)), 4);
  }
  std::string AddDrive(const std::string& name, boost::json::object options = {{"format", "qcow2"}}) {
    options["file"] = Path(name);
    const Result<> added = graph_.AddDrive("d", options);
    return added ? "ok" : added.error().message;
  }
  std::string AddNode(std::string text) {
    for (size_t at = text.find("DIR"); at != std::string::npos; at = text.find("DIR")) {
      text.replace(at, 3, directory_);
    }
    const Result<> added = graph_.AddNode(boost::json::parse(text).as_object());
    return added ? "ok" : added.error().message;
  }
  BlkStatus Serve(TestRequest& request, std::string_view node = "d") {
    const auto claimed = graph_.Claim(node, "the test");
    EXPECT_TRUE(claimed) << claimed.error().message;
    const auto channel = (*claimed)->OpenChannel(*loop_).value();
    channel->Submit(&request);
    loop_.RunUntil([&] { return request.status.has_value(); });
    return *request.status;
  }
  std::string ReadText(uint64_t offset, uint64_t bytes, std::string_view node = "d") {
    TestRequest read(Op::kRead, offset, bytes);
    EXPECT_EQ(Serve(read, node), BlkStatus::kOk);
    return read.text();
  }

  std::string directory_;
  EngineLoop loop_;
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  BlockGraph graph_{*opener_};
};

TEST_F(Qcow2Graph, AChainIsOpenedByWhatItsImagesName) {
  MakeRaw("base.raw", std::string(64 * 1024, 'b') + std::string(512, 'e'));
  MakeQcow2("middle", "base.raw", "raw");
  MakeQcow2("top", "middle", "qcow2");
  EXPECT_EQ(AddDrive("top"), "ok");

  EXPECT_EQ(ReadText(0, 512), std::string(512, 'b'));
  EXPECT_EQ(ReadText(64 * 1024, 1024), std::string(512, 'e') + std::string(512, '\0'));
  TestRequest write = TestRequest::Write(512, std::string(512, 'w'));
  EXPECT_EQ(Serve(write), BlkStatus::kOk);

  EXPECT_EQ(ReadText(0, 1536), std::string(512, 'b') + std::string(512, 'w') + std::string(512, 'b'));
  EXPECT_EQ(graph_.Nodes().size(), 6U);  // three formats over three files
}

TEST_F(Qcow2Graph, RemovingANodeRemovesItsChain) {
  MakeRaw("base.raw", std::string(512, 'b'));
  MakeQcow2("top", "base.raw", "raw");
  EXPECT_EQ(AddNode(R"({"driver":"qcow2","node-name":"top","file":{"driver":"file","filename":"DIR/top"}})"),
            "ok");
  EXPECT_EQ(graph_.Nodes().size(), 4U);

  EXPECT_TRUE(graph_.RemoveNode("top"));

  EXPECT_TRUE(graph_.Nodes().empty());
}

TEST_F(Qcow2Graph, NodesAreNamedAndReused) {
  MakeRaw("base.raw", std::string(512, 'b'));
  MakeQcow2("top", "elsewhere", "raw");
  EXPECT_EQ(
      AddNode(R"({"driver":"file","node-name":"base-file","filename":"DIR/base.raw","read-only":true})"),
      "ok");
  EXPECT_EQ(AddNode(R"({"driver":"raw","node-name":"base","file":"base-file","read-only":true})"), "ok");
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"top-file","filename":"DIR/top"})"), "ok");
  EXPECT_EQ(AddNode(R"({"driver":"qcow2","node-name":"top","file":"top-file","backing":"base"})"), "ok");

  EXPECT_EQ(ReadText(0, 512, "top"), std::string(512, 'b'));
  EXPECT_THAT(graph_.RemoveNode("base").error().message, HasSubstr("in use by"));
}

TEST_F(Qcow2Graph, ABackingOptionOfNullIsNone) {
  MakeQcow2("top", "missing", "raw");
  EXPECT_EQ(
      AddNode(
          R"({"driver":"qcow2","node-name":"t","backing":null,"file":{"driver":"file","filename":"DIR/top"}})"),
      "ok");
  EXPECT_EQ(ReadText(0, 512, "t"), std::string(512, '\0'));
}

TEST_F(Qcow2Graph, AFailureLeavesNoNodes) {
  MakeQcow2("top", "missing", "raw");
  EXPECT_THAT(AddDrive("top"), HasSubstr("backing file 'missing' of"));
  EXPECT_TRUE(graph_.Nodes().empty());
  EXPECT_FALSE(graph_.Has("d"));
}

TEST_F(Qcow2Graph, AChainThatComesBackIsRefused) {
  MakeQcow2("a", "b", "qcow2");
  MakeQcow2("b", "./a", "qcow2");
  EXPECT_THAT(AddDrive("a", {{"format", "qcow2"}, {"read-only", true}}),
              EndsWith("its own backing file: the chain comes back to it"));
}

// A guest that had a raw disk wrote a qcow2 header to it, with a file of the host as the backing file.
TEST_F(Qcow2Graph, AGuestsHeaderOpensNoFile) {
  MakeRaw("secret", std::string(512, 's'));
  MakeQcow2("disk", Path("secret"), "raw");

  EXPECT_THAT(AddDrive("disk", {}), HasSubstr("say format=qcow2 if it is yours"));
  EXPECT_EQ(AddDrive("disk", {{"format", "raw"}}), "ok");
}

TEST_F(Qcow2Graph, AnImageThatNamesNothingMayBeGuessed) {
  MakeQcow2("disk");
  EXPECT_EQ(AddDrive("disk", {}), "ok");
  EXPECT_EQ((*graph_.Claim("d", "vda"))->driver(), "qcow2");
}

// The same one image further down: the backing file was somebody's raw disk once, and the chain does not say
// what it is.
TEST_F(Qcow2Graph, ABackingFileOfUnknownFormatIsRawOrRefused) {
  MakeRaw("secret", std::string(512, 's'));
  MakeQcow2("was-raw", Path("secret"), "raw");
  MakeQcow2("top", "was-raw", "raw");
  ForgetBackingFormat("top");
  EXPECT_THAT(AddDrive("top"), HasSubstr("its format is not recorded and it looks like qcow2"));

  MakeQcow2("plain", "secret", "raw");
  ForgetBackingFormat("plain");
  EXPECT_EQ(AddDrive("plain"), "ok");
  EXPECT_EQ(ReadText(0, 512), std::string(512, 's'));
}

TEST_F(Qcow2Graph, OtherProtocolsAreRefused) {
  MakeQcow2("top", "nbd://host/x", "raw");
  EXPECT_THAT(AddDrive("top"), HasSubstr("backing=NODE"));
}

TEST_F(Qcow2Graph, TheImageIsLockedAndItsBackingFileShared) {
  MakeRaw("base.raw", std::string(512, 'b'));
  MakeQcow2("one", "base.raw", "raw");
  MakeQcow2("two", "base.raw", "raw");
  BlockGraph other(*opener_);
  EXPECT_EQ(AddDrive("one"), "ok");

  EXPECT_TRUE(other.AddDrive("two", {{"file", Path("two")}, {"format", "qcow2"}}));
  EXPECT_THAT(other.AddDrive("same", {{"file", Path("one")}, {"format", "qcow2"}}).error().message,
              HasSubstr("lock"));
  ASSERT_TRUE(other.AddDrive("base", {{"file", Path("base.raw")}, {"format", "raw"}}));
  EXPECT_FALSE(other.Claim("base", "a writer"));
}

TEST_F(Qcow2Graph, WhatMayNotBeWrittenIsOpenedReadOnly) {
  MakeQcow2("disk");
  EXPECT_EQ(AddDrive("disk", {{"format", "qcow2"}, {"read-only", true}}), "ok");
  EXPECT_TRUE((*graph_.Claim("d", "vda"))->limits().read_only);
  TestRequest write = TestRequest::Write(0, std::string(512, 'w'));
  EXPECT_EQ(Serve(write), BlkStatus::kIoError);
}

TEST_F(Qcow2Graph, ADiskGrowsWhileItIsUsed) {
  MakeQcow2("disk");
  EXPECT_EQ(AddDrive("disk"), "ok");
  const auto control = ControlLoop::Create().value();
  const auto node = *graph_.Claim("d", "vda");
  const auto resize = [&](uint64_t bytes) {
    std::optional<Result<>> result;
    graph_.Resize(*control, "d", bytes, [&](Result<> done) {
      result = std::move(done);
      control->Stop();
    });
    if (!result) {
      control->Run();
    }
    return *result ? "ok" : result->error().message;
  };

  EXPECT_EQ(resize(3 << 20), "ok");
  EXPECT_EQ(node->limits().size_bytes, 3U << 20);
  EXPECT_THAT(resize(1 << 20), HasSubstr("only made larger"));
}

TEST_F(Qcow2Graph, CacheSizesAreDividedAsQemuDoes) {
  MakeQcow2("disk");
  EXPECT_THAT(
      AddDrive(
          "disk",
          {{"format", "qcow2"}, {"cache-size", 1 << 20}, {"l2-cache-size", 1}, {"refcount-cache-size", 1}}),
      HasSubstr("two of the three"));
  EXPECT_THAT(AddDrive("disk", {{"format", "qcow2"}, {"cache-size", 1 << 20}, {"l2-cache-size", 2 << 20}}),
              HasSubstr("cannot be larger"));
  EXPECT_THAT(AddDrive("disk", {{"format", "qcow2"}, {"l2-cache-entry-size", 1000}}),
              HasSubstr("power of two"));
  EXPECT_THAT(AddDrive("disk", {{"format", "raw"}, {"l2-cache-size", 4096}}), HasSubstr("format=qcow2"));
  EXPECT_EQ(AddDrive("disk", {{"format", "qcow2"}, {"cache-size", 1 << 20}}), "ok");
}

// The other process changes the image in between.
TEST_F(Qcow2Graph, AnImageThatWasHandedOverIsReadAnew) {
  MakeQcow2("disk");
  EXPECT_EQ(AddDrive("disk"), "ok");
  TestRequest write = TestRequest::Write(0, std::string(512, '1'));
  EXPECT_EQ(Serve(write), BlkStatus::kOk);
  ASSERT_TRUE(graph_.ReleaseImages());
  {
    BlockGraph other(*opener_);
    ASSERT_TRUE(other.AddDrive("o", {{"file", Path("disk")}, {"format", "qcow2"}}));
    const auto node = *other.Claim("o", "vda");
    const auto channel = node->OpenChannel(*loop_).value();
    TestRequest read(Op::kRead, 0, 512);
    TestRequest more = TestRequest::Write(128 * 1024, std::string(512, '2'));
    channel->Submit(&read);
    channel->Submit(&more);
    loop_.RunUntil([&] { return read.status && more.status; });
    EXPECT_EQ(read.text(), std::string(512, '1'));
  }
  ASSERT_TRUE(graph_.ClaimImages());

  EXPECT_EQ(ReadText(128 * 1024, 512), std::string(512, '2'));
}

}  // namespace
}  // namespace nandu
