#include "block/block_graph.h"

#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/block_request.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

class BlockGraphTest : public testing::Test {
 protected:
  BlockGraphTest() {
    std::string pattern = "/var/tmp/nandu-graph-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    image_ = MakeImage("a.raw", std::string(8192, 'x'));
  }
  ~BlockGraphTest() override { std::filesystem::remove_all(directory_); }

  std::string MakeImage(const std::string& name, const std::string& content) {
    const std::string path = directory_ + "/" + name;
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::write(file.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
    return path;
  }
  // IMAGE in the text is the image's path.
  boost::json::object Options(std::string text) {
    for (size_t at = text.find("IMAGE"); at != std::string::npos; at = text.find("IMAGE")) {
      text.replace(at, 5, image_);
    }
    return boost::json::parse(text).as_object();
  }
  std::string AddNode(const std::string& text) {
    const Result<> added = graph_.AddNode(Options(text));
    return added ? "ok" : added.error().message;
  }
  std::string AddDrive(const std::string& id, const std::string& text) {
    const Result<> added = graph_.AddDrive(id, Options(text));
    return added ? "ok" : added.error().message;
  }
  NodeInfo Info(const std::string& name) {
    for (NodeInfo& info : graph_.Nodes()) {
      if (info.node_name == name) {
        return std::move(info);
      }
    }
    ADD_FAILURE() << "no node " << name;
    return {};
  }

  std::string directory_;
  std::string image_;
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  BlockGraph graph_{*opener_};
};

TEST_F(BlockGraphTest, FileNodeKnowsItsSize) {
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"disk0","filename":"IMAGE"})"), "ok");

  const auto node = graph_.Claim("disk0", "vda");

  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ((*node)->node_name(), "disk0");
  EXPECT_EQ((*node)->driver(), "file");
  EXPECT_EQ((*node)->limits().size_bytes, 8192U);
  EXPECT_EQ(Info("disk0").users, std::vector<std::string>{"vda"});
}

// libvirt's pair of nodes.
TEST_F(BlockGraphTest, FormatNodeOverANamedNode) {
  EXPECT_EQ(AddNode(R"({"driver":"file","filename":"IMAGE","node-name":"libvirt-1-storage",
                        "cache":{"direct":false,"no-flush":false},"auto-read-only":true,"discard":"unmap"})"),
            "ok");
  EXPECT_EQ(
      AddNode(R"({"node-name":"libvirt-1-format","read-only":false,"cache":{"direct":false,"no-flush":false},
                        "discard":"unmap","detect-zeroes":"unmap","driver":"raw","file":"libvirt-1-storage"})"),
      "ok");

  const auto node = graph_.Claim("libvirt-1-format", "vda");

  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ((*node)->driver(), "raw");
  EXPECT_EQ(Info("libvirt-1-format").child, "libvirt-1-storage");
  EXPECT_EQ(Info("libvirt-1-storage").users, std::vector<std::string>{"vda (through 'libvirt-1-format')"});
}

TEST_F(BlockGraphTest, TextValuesAreTaken) {
  EXPECT_EQ(AddNode(R"({"driver":"raw","node-name":"r","offset":"4k","size":"1k","read-only":"on",
                        "file":{"driver":"file","filename":"IMAGE","cache":{"no-flush":"on"}}})"),
            "ok");
  EXPECT_EQ(Info("r").size_bytes, 1024U);
  EXPECT_TRUE(Info("r").read_only);
  EXPECT_TRUE(Info("r").no_flush);
}

TEST_F(BlockGraphTest, ChildInPlaceInheritsReadOnlyAndCache) {
  EXPECT_EQ(AddNode(R"({"driver":"raw","node-name":"r","read-only":true,"cache":{"no-flush":true},
                        "file":{"driver":"file","node-name":"f","filename":"IMAGE"}})"),
            "ok");
  EXPECT_TRUE(Info("f").read_only);
  EXPECT_TRUE(Info("f").no_flush);
}

TEST_F(BlockGraphTest, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(AddNode(R"({"driver":"qcow3","node-name":"x"})"),
            "unknown driver 'qcow3'; known: file, host_device, qcow2, raw (did you mean 'qcow2'?)");
  EXPECT_EQ(AddNode(R"({"driver":"fil","node-name":"x"})"),
            "unknown driver 'fil'; known: file, host_device, qcow2, raw (did you mean 'file'?)");
  EXPECT_EQ(AddNode(R"({"node-name":"x"})"), "'driver' is missing");
  EXPECT_EQ(AddNode(R"({"driver":"file","filename":"IMAGE"})"),
            "'node-name' is missing: it is how devices find the node");
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"x"})"), "x: 'filename' is missing");
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"0x","filename":"IMAGE"})"),
            "node-name '0x' is not of letters, digits, '-', '.' and '_', a letter first");
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"x","filename":"IMAGE.none"})"),
            "x: cannot open " + image_ + ".none: No such file or directory");
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"x","filename":"/tmp"})"),
            "x: cannot open /tmp: Is a directory");
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"x","filename":"/dev/null"})"),
            "x: /dev/null is no regular file; driver=file needs a regular file");
  EXPECT_EQ(AddNode(R"({"driver":"host_device","node-name":"x","filename":"IMAGE"})"),
            "x: " + image_ + " is no block device; driver=host_device needs one");
  EXPECT_EQ(AddNode(R"({"driver":"raw","node-name":"x"})"),
            "x: 'file' is missing: a node's name, or a node's options");
  EXPECT_EQ(AddNode(R"({"driver":"raw","node-name":"x","file":"y"})"), "x: there is no node 'y' for 'file'");
  EXPECT_EQ(AddNode(R"({"driver":"raw","node-name":"x","offset":8192,"size":512,
                        "file":{"driver":"file","filename":"IMAGE"}})"),
            "x: offset 8192 and size 512 reach past the end of '#block0', which has 8192 bytes");
  EXPECT_EQ(AddNode(R"({"driver":"raw","node-name":"x","file":{"driver":"file","filename":"IMAGE.none"}})"),
            "x: cannot open " + image_ + ".none: No such file or directory");
  EXPECT_TRUE(graph_.Nodes().empty()) << "a failure leaves nothing behind";
}

TEST_F(BlockGraphTest, UnknownOptionIsNamed) {
  const std::string said =
      AddNode(R"({"driver":"file","node-name":"x","filename":"IMAGE","read-onyl":true})");
  EXPECT_NE(said.find("read-onyl"), std::string::npos) << said;
  EXPECT_NE(said.find("read-only"), std::string::npos) << said;
}

TEST_F(BlockGraphTest, NamesAreUnique) {
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"x","filename":"IMAGE"})"), "ok");
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"x","filename":"IMAGE"})"),
            "there is a node or drive 'x' already");
  EXPECT_EQ(AddDrive("x", R"({"file":"IMAGE","format":"raw"})"), "there is a node or drive 'x' already");
}

TEST_F(BlockGraphTest, FifoDoesNotHangTheStart) {
  const std::string fifo = directory_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const Result<> added = graph_.AddDrive("x", {{"file", fifo}, {"format", "raw"}, {"read-only", true}});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message, "x: " + fifo + " is no regular file; driver=file needs a regular file");
}

TEST_F(BlockGraphTest, DriveIsARawNodeOverAFile) {
  EXPECT_EQ(AddDrive("drive0", R"({"file":"IMAGE","format":"raw","cache":"none","aio":"native"})"), "ok");

  const auto node = graph_.Claim("drive0", "vda");

  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ((*node)->driver(), "raw");
  EXPECT_TRUE(Info((*node)->node_name()).direct);
  EXPECT_TRUE((*node)->limits().write_cache);
}

TEST_F(BlockGraphTest, NativeAioNeedsDirectIoAsInQemu) {
  EXPECT_THAT(AddDrive("d", R"({"file":"IMAGE","format":"raw","aio":"native"})"),
              testing::HasSubstr("aio=native needs cache.direct=on"));
  EXPECT_THAT(AddNode(R"({"driver":"file","node-name":"f","filename":"IMAGE","aio":"native"})"),
              testing::HasSubstr("aio=native needs cache.direct=on"));
}

TEST_F(BlockGraphTest, ZeroesThatDeallocateNeedDiscard) {
  EXPECT_THAT(AddDrive("d", R"({"file":"IMAGE","format":"raw","detect-zeroes":"unmap"})"),
              testing::HasSubstr("detect-zeroes=unmap needs discard=unmap"));
  EXPECT_THAT(AddNode(R"({"driver":"file","node-name":"f","filename":"IMAGE","detect-zeroes":"unmap"})"),
              testing::HasSubstr("detect-zeroes=unmap needs discard=unmap"));
}

TEST_F(BlockGraphTest, CacheModesAreQemus) {
  EXPECT_EQ(SwitchesOf(CacheMode::kNone), (CacheSwitches{true, false, true}));
  EXPECT_EQ(SwitchesOf(CacheMode::kWriteback), (CacheSwitches{false, false, true}));
  EXPECT_EQ(SwitchesOf(CacheMode::kWritethrough), (CacheSwitches{false, false, false}));
  EXPECT_EQ(SwitchesOf(CacheMode::kDirectsync), (CacheSwitches{true, false, false}));
  EXPECT_EQ(SwitchesOf(CacheMode::kUnsafe), (CacheSwitches{false, true, true}));
}

TEST_F(BlockGraphTest, SwitchGivenAloneBeatsTheCacheMode) {
  EXPECT_EQ(AddDrive("d", R"({"file":"IMAGE","format":"raw","cache":"writethrough","cache.writeback":"on",
                             "node-name":"n","cache.no-flush":"on"})"),
            "ok");
  EXPECT_TRUE(Info("n").write_cache);
  EXPECT_TRUE(Info("n").no_flush);
}

TEST_F(BlockGraphTest, WritethroughHasNoWriteCache) {
  EXPECT_EQ(AddDrive("d", R"({"file":"file:IMAGE","format":"raw","cache":"writethrough"})"), "ok");
  EXPECT_FALSE((*graph_.Claim("d", "vda"))->limits().write_cache);
}

TEST_F(BlockGraphTest, DriveErrorsSayWhatIsWrong) {
  EXPECT_EQ(AddDrive("d", R"({"format":"raw"})"), "d: a drive needs its image: file=PATH");
  EXPECT_EQ(AddDrive("d", R"({"file":"IMAGE.none","format":"raw"})"),
            "d: cannot open " + image_ + ".none: No such file or directory");
  EXPECT_EQ(AddDrive("d", R"({"file":"IMAGE","format":"qcow3"})"),
            "d: unknown driver 'qcow3'; known: file, host_device, qcow2, raw");
  EXPECT_EQ(AddDrive("d", R"({"file":"nbd:localhost:10809","format":"raw"})"),
            "d: unknown protocol in file=nbd:localhost:10809; it takes a path");
  EXPECT_EQ(AddDrive("d", R"({"file":"IMAGE","format":"raw","readonly":"on","read-only":"off"})"),
            "d: readonly= and read-only= are the same switch and say different things");
}

TEST_F(BlockGraphTest, GuessedFormatIsNotTakenForRaw) {
  const std::string vmdk = MakeImage("b.vmdk", "KDMV" + std::string(1020, '\0'));
  const Result<> added = graph_.AddDrive("d", {{"file", vmdk}});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message,
            "d: " + vmdk +
                " is a vmdk image, which nandu does not read; make a qcow2 one: qemu-img "
                "convert -O qcow2");
}

TEST_F(BlockGraphTest, GuestCannotChangeAGuessedFormat) {
  EngineLoop loop;
  EXPECT_EQ(AddDrive("d", R"({"file":"IMAGE"})"), "ok");
  const auto node = *graph_.Claim("d", "vda");
  const auto channel = *node->OpenChannel(*loop);
  TestRequest write = TestRequest::Write(0, "QFI\xfb" + std::string(508, '\0'));

  channel->Submit(&write);
  loop.RunUntilIdle();

  EXPECT_EQ(write.status, BlkStatus::kIoError);
  EXPECT_EQ(node->limits().request_alignment, 512U);
}

TEST_F(BlockGraphTest, OneWriterPerNode) {
  EXPECT_EQ(AddDrive("d", R"({"file":"IMAGE","format":"raw"})"), "ok");
  auto first = graph_.Claim("d", "vda");
  ASSERT_TRUE(first);

  const auto second = graph_.Claim("d", "vdb");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kBusy);
  EXPECT_NE(second.error().message.find("is in use by vda"), std::string::npos) << second.error().message;

  first->reset();
  EXPECT_TRUE(graph_.Claim("d", "vdb")) << "a claim ends with its last copy";
}

TEST_F(BlockGraphTest, SharedWritersAndReadersMaySeveral) {
  EXPECT_EQ(AddDrive("rw", R"({"file":"IMAGE","format":"raw"})"), "ok");
  const auto first = graph_.Claim("rw", "vda", BlockGraph::Sharing::kShareWrites);
  const auto second = graph_.Claim("rw", "vdb", BlockGraph::Sharing::kShareWrites);
  EXPECT_TRUE(first && second);

  const std::string other = MakeImage("c.raw", std::string(512, 'c'));
  ASSERT_TRUE(graph_.AddDrive("ro", {{"file", other}, {"format", "raw"}, {"readonly", "on"}}));
  const auto third = graph_.Claim("ro", "vdc");
  const auto fourth = graph_.Claim("ro", "vdd");
  EXPECT_TRUE(third && fourth);
}

TEST_F(BlockGraphTest, SameImageTwiceIsRefused) {
  EXPECT_EQ(AddDrive("a", R"({"file":"IMAGE","format":"raw"})"), "ok");
  EXPECT_EQ(AddDrive("b", R"({"file":"IMAGE","format":"raw"})"), "ok");
  const auto first = graph_.Claim("a", "vda");
  ASSERT_TRUE(first);

  const auto second = graph_.Claim("b", "vdb");

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message,
            "b: cannot lock " + image_ +
                ": another drive of this VM has it; give it once, or use read-only=on on both");
}

TEST_F(BlockGraphTest, LockingOffLetsItPass) {
  EXPECT_EQ(AddDrive("a", R"({"file":"IMAGE","format":"raw","file.locking":"off"})"), "ok");
  EXPECT_EQ(AddDrive("b", R"({"file":"IMAGE","format":"raw","file.locking":"off"})"), "ok");
  const auto first = graph_.Claim("a", "vda");
  const auto second = graph_.Claim("b", "vdb");
  EXPECT_TRUE(first && second);
}

TEST_F(BlockGraphTest, NearestNameIsOffered) {
  EXPECT_EQ(AddDrive("disk0", R"({"file":"IMAGE","format":"raw"})"), "ok");
  const auto claimed = graph_.Claim("disk1", "vda");
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().message, "there is no drive or node 'disk1' (did you mean 'disk0'?)");
}

TEST_F(BlockGraphTest, NodeInUseStays) {
  EXPECT_EQ(AddNode(R"({"driver":"file","node-name":"f","filename":"IMAGE"})"), "ok");
  EXPECT_EQ(AddNode(R"({"driver":"raw","node-name":"r","file":"f"})"), "ok");
  auto claimed = graph_.Claim("r", "vda");
  ASSERT_TRUE(claimed);

  EXPECT_FALSE(graph_.RemoveNode("r"));
  claimed->reset();
  EXPECT_FALSE(graph_.RemoveNode("f"));
  EXPECT_TRUE(graph_.RemoveNode("r"));
  EXPECT_TRUE(graph_.RemoveNode("f"));
  EXPECT_FALSE(graph_.RemoveNode("f"));
}

// As an ordinary user: root may write to everything.
TEST_F(BlockGraphTest, UnwritableImageIsAnErrorForWhoWrites) {
  if (::geteuid() == 0) {
    ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
    ASSERT_EQ(::chmod(image_.c_str(), 0444), 0);
    ASSERT_EQ(::seteuid(65534), 0);
  } else {
    ASSERT_EQ(::chmod(image_.c_str(), 0444), 0);
  }
  const std::string plain = AddNode(R"({"driver":"file","node-name":"plain","filename":"IMAGE"})");
  const std::string drive = AddDrive("d", R"({"file":"IMAGE","format":"raw"})");
  const auto writer = graph_.Claim("d", "vda");
  const std::string reader = AddDrive("r", R"({"file":"IMAGE","format":"raw","readonly":"on"})");
  EXPECT_EQ(::seteuid(::getuid()), 0);

  EXPECT_EQ(plain, "plain: cannot open " + image_ + ": Permission denied");
  EXPECT_EQ(drive, "ok") << "auto-read-only";
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().message, "d: cannot open " + image_ +
                                        ": Permission denied; use read-only=on for a disk that is only read");
  EXPECT_EQ(reader, "ok");
  EXPECT_TRUE(graph_.Claim("r", "vdb"));
}

TEST_F(BlockGraphTest, OddSizeIsRoundedUp) {
  const std::string odd = MakeImage("odd.raw", std::string(1000, 'o'));
  ASSERT_TRUE(graph_.AddDrive("d", {{"file", odd}, {"format", "raw"}}));
  EXPECT_EQ((*graph_.Claim("d", "vda"))->limits().size_bytes, 1024U);
}

TEST_F(BlockGraphTest, ForceShareIsForReaders) {
  EXPECT_EQ(AddDrive("a", R"({"file":"IMAGE","format":"raw"})"), "ok");
  EXPECT_EQ(AddDrive("b", R"({"file":"IMAGE","format":"raw","force-share":"on","readonly":"on"})"), "ok");
  EXPECT_EQ(AddDrive("c", R"({"file":"IMAGE","format":"raw","force-share":"on"})"),
            "c: force-share=on shares an image that others write: it needs read-only=on");
}

}  // namespace
}  // namespace nandu
