// stream, dgram and socket netdevs over real sockets; the test is the NIC and the peer.
#include <array>
#include <boost/json.hpp>
#include <cstring>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/bridge_helper.h"
#include "net/netdevs.h"
#include "net/stream_framing.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

std::string Framed(const std::string& frame) {
  const auto length = StreamLength(frame.size());
  return {std::string(reinterpret_cast<const char*>(length.data()), length.size()) + frame};
}

class SocketNetdevTest : public ::testing::Test {
 protected:
  SocketNetdevTest() {
    std::string pattern = "/tmp/nandu-net-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    loop_ = ControlLoop::Create().value();
    const auto emit = [this](std::string_view event, const boost::json::object& data) {
      events_.push_back(std::string(event) + " " + boost::json::serialize(data));
    };
    netdevs_ = std::make_unique<NetdevSet>(NetdevContext{*opener_, loop_.get(), nullptr, emit});
  }
  ~SocketNetdevTest() override {
    channels_.clear();
    io_.RunUntilIdle();
    backends_.clear();
    netdevs_.reset();
    io_.fake.CompleteCancelled();
    io_.RunUntilIdle();
    std::filesystem::remove_all(directory_);
  }

  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  std::string Mistake(std::string_view type, const boost::json::object& options) {
    const Result<> added = netdevs_->Add(type, "n", options);
    return added ? "accepted" : added.error().message;
  }
  NetChannel& Open(std::string_view type, const std::string& id, const boost::json::object& options) {
    const Result<> added = netdevs_->Add(type, id, options);
    EXPECT_TRUE(added.has_value()) << (added ? "" : added.error().message);
    backends_.push_back(netdevs_->Claim(id, "nic").value());
    channels_.push_back(backends_.back()->OpenChannel(0, io_).value());
    io_.RunUntilIdle();
    return *channels_.back();
  }
  // What is ready on both loops.
  void Turn() {
    loop_->RunReady();
    io_.RunUntilIdle();
    loop_->RunReady();
  }
  static NetChannel::SendResult Send(NetChannel& channel, std::string frame) {
    const iovec two[] = {{frame.data(), 3}, {frame.data() + 3, frame.size() - 3}};
    return channel.Send(two);
  }
  static std::string Receive(NetChannel& channel) {
    std::string frame(70'000, '\0');
    const iovec two[] = {{frame.data(), 5}, {frame.data() + 5, frame.size() - 5}};
    const int64_t got = channel.Receive(two);
    frame.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return frame;
  }
  UniqueFd ConnectUnix(const std::string& path) { return opener_->ConnectUnix(path).value(); }

  std::string directory_;
  const std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  std::unique_ptr<ControlLoop> loop_;
  ManualLoop io_;
  std::vector<std::string> events_;
  std::unique_ptr<NetdevSet> netdevs_;
  std::vector<std::shared_ptr<NetBackend>> backends_;
  std::vector<std::unique_ptr<NetChannel>> channels_;
};

boost::json::object UnixStream(const std::string& path, const char* server) {
  return {{"server", server}, {"addr", boost::json::object{{"type", "unix"}, {"path", path}}}};
}

TEST_F(SocketNetdevTest, AStreamServerServesOnePeerAfterTheOther) {
  NetChannel& channel = Open("stream", "n", UnixStream(File("s"), "on"));
  int readable = 0;
  channel.StartRx([&] { ++readable; });
  EXPECT_EQ(Send(channel, "nobody"), NetChannel::SendResult::kDropped);
  for (int visit = 1; visit <= 2; ++visit) {
    UniqueFd peer = ConnectUnix(File("s"));
    Turn();
    ASSERT_EQ(events_.size(), static_cast<size_t>(2 * visit - 1));
    EXPECT_EQ(events_.back(), R"(NETDEV_STREAM_CONNECTED {"netdev-id":"n","addr":{"path":"","type":"unix"}})");
    EXPECT_EQ(Send(channel, "to the peer"), NetChannel::SendResult::kSent);
    std::array<char, 64> got{};
    const ssize_t bytes = ::recv(peer.get(), got.data(), got.size(), 0);
    EXPECT_EQ(std::string(got.data(), static_cast<size_t>(std::max<ssize_t>(bytes, 0))), Framed("to the peer"));
    const std::string two = Framed("first") + Framed("second");
    ASSERT_EQ(::send(peer.get(), two.data(), two.size(), 0), static_cast<ssize_t>(two.size()));
    EXPECT_EQ(Receive(channel), "first");
    EXPECT_EQ(Receive(channel), "second");
    EXPECT_EQ(Receive(channel), "");
    peer.Reset();
    EXPECT_EQ(Receive(channel), "");
    Turn();
    ASSERT_EQ(events_.size(), static_cast<size_t>(2 * visit));
    EXPECT_EQ(events_.back(), R"(NETDEV_STREAM_DISCONNECTED {"netdev-id":"n"})");
  }
}

TEST_F(SocketNetdevTest, TwoVmsAreJoinedByAStream) {
  NetChannel& server = Open("stream", "a", UnixStream(File("s"), "on"));
  NetChannel& client = Open("stream", "b", UnixStream(File("s"), "off"));
  Turn();
  EXPECT_EQ(Send(server, "from the server"), NetChannel::SendResult::kSent);
  EXPECT_EQ(Receive(client), "from the server");
  EXPECT_EQ(Send(client, "from the client"), NetChannel::SendResult::kSent);
  EXPECT_EQ(Receive(server), "from the client");
}

TEST_F(SocketNetdevTest, AFullStreamIsBusyAndLosesNothing) {
  NetChannel& server = Open("stream", "a", UnixStream(File("s"), "on"));
  NetChannel& client = Open("stream", "b", UnixStream(File("s"), "off"));
  Turn();
  size_t sent = 0;
  while (Send(server, Format("{:07}", sent) + std::string(9000, 'x')) == NetChannel::SendResult::kSent) {
    ++sent;
  }
  ASSERT_GT(sent, 0U);
  int writable = 0;
  server.NotifyWritable([&] { ++writable; });
  ASSERT_FALSE(io_.fake.pending.empty());
  size_t received = 0;
  // The ring of paper says writable once there is room; what was left of the last frame goes first.
  while (received < sent) {
    const std::string frame = Receive(client);
    if (frame.empty()) {
      ASSERT_FALSE(io_.fake.pending.empty());
      io_.fake.Complete(POLLOUT);
      Turn();
      continue;
    }
    ASSERT_EQ(frame, Format("{:07}", received) + std::string(9000, 'x'));
    ++received;
  }
  while (writable == 0 && !io_.fake.pending.empty()) {
    io_.fake.Complete(POLLOUT);
    Turn();
  }
  EXPECT_EQ(writable, 1);
}

TEST_F(SocketNetdevTest, APeerWithAnImpossibleLengthIsDisconnected) {
  NetChannel& channel = Open("stream", "n", UnixStream(File("s"), "on"));
  const UniqueFd peer = ConnectUnix(File("s"));
  Turn();
  ASSERT_EQ(::send(peer.get(), "\xff\xff\xff\xff", 4, 0), 4);
  EXPECT_EQ(Receive(channel), "");
  Turn();
  EXPECT_EQ(events_.back(), R"(NETDEV_STREAM_DISCONNECTED {"netdev-id":"n"})");
}

TEST_F(SocketNetdevTest, DatagramsGoToTheirPeer) {
  const auto options = [this](const char* local, const char* remote) {
    return boost::json::object{{"local", boost::json::object{{"type", "unix"}, {"path", File(local)}}},
                               {"remote", boost::json::object{{"type", "unix"}, {"path", File(remote)}}}};
  };
  NetChannel& one = Open("dgram", "a", options("1", "2"));
  EXPECT_EQ(Send(one, "nobody there yet"), NetChannel::SendResult::kDropped);
  NetChannel& two = Open("dgram", "b", options("2", "1"));
  EXPECT_EQ(Send(one, "there"), NetChannel::SendResult::kSent);
  EXPECT_EQ(Receive(two), "there");
  EXPECT_EQ(Send(two, "and back"), NetChannel::SendResult::kSent);
  EXPECT_EQ(Receive(one), "and back");
}

TEST_F(SocketNetdevTest, TheOlderSpellingIsTheSame) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
  NetChannel& one = Open("socket", "a", {{"fd", std::to_string(ends[0])}});
  NetChannel& two = Open("dgram", "b", {{"local", boost::json::object{{"type", "fd"}, {"str", std::to_string(ends[1])}}}});
  EXPECT_EQ(Send(one, "frame"), NetChannel::SendResult::kSent);
  EXPECT_EQ(Receive(two), "frame");
}

TEST_F(SocketNetdevTest, MistakesAreSentences) {
  EXPECT_EQ(Mistake("stream", UnixStream(File("nosuch"), "off")),
            Format("netdev 'n': cannot connect to the unix socket {}: No such file or directory; start its server first",
                   File("nosuch")));
  EXPECT_NE(Mistake("stream", {}).find("it needs addr.type=inet"), std::string::npos);
  EXPECT_NE(Mistake("dgram", {{"local", boost::json::object{{"type", "unix"}, {"path", File("x")}}}})
                .find("it needs remote="),
            std::string::npos);
  EXPECT_EQ(Mistake("socket", {}), "netdev 'n': it needs one of listen=, connect=, mcast=, udp= and fd=");
  EXPECT_EQ(Mistake("socket", {{"mcast", "10.0.0.1:5000"}}),
            "netdev 'n': mcast=10.0.0.1:5000 is no multicast group; use 224.0.0.0 to 239.255.255.255");
  EXPECT_NE(Mistake("stream", {{"addr", boost::json::object{{"type", "unix"}, {"path", File("x")}}}, {"reconnect", "1"}})
                .find("reconnect"),
            std::string::npos);
}

TEST_F(SocketNetdevTest, AServersSocketIsRemovedAtTheEnd) {
  Open("stream", "n", UnixStream(File("s"), "on"));
  EXPECT_TRUE(std::filesystem::exists(File("s")));
  channels_.clear();
  backends_.clear();
  ASSERT_TRUE(netdevs_->Remove("n").has_value());
  EXPECT_FALSE(std::filesystem::exists(File("s")));
}

// A helper of words, which /bin/sh runs: it sends a descriptor as qemu-bridge-helper does.
constexpr const char* kHelper =
    "python3 -c 'import socket,sys,array\n"
    "assert sys.argv[1:] == [\"--use-vnet\", \"--fd=3\", \"--br=br7\"], sys.argv\n"
    "s = socket.socket(fileno=3)\n"
    "f = open(\"/dev/null\")\n"
    "s.sendmsg([b\"x\"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array(\"i\", [f.fileno()]))])'";

TEST(BridgeHelper, SendsADescriptor) {
  const Result<UniqueFd> fd = TapFromHelper(kHelper, "br7");
  ASSERT_TRUE(fd.has_value()) << fd.error().message;
  EXPECT_EQ(std::filesystem::read_symlink(Format("/proc/self/fd/{}", fd->get())), "/dev/null");
}

TEST(BridgeHelper, FailuresAreSentences) {
  EXPECT_EQ(TapFromHelper("/bin/false", "br0").error().message,
            "the bridge helper /bin/false made no tap on br0; it must be setuid root and /etc/qemu/bridge.conf must "
            "say 'allow br0'");
  EXPECT_EQ(TapFromHelper("/nowhere/helper", "br0").error().message,
            "cannot run the bridge helper /nowhere/helper; install qemu-system-common, or name one with helper=: "
            "No such file or directory");
  EXPECT_EQ(TapFromHelper("/bin/true", "br0;reboot").error().message, "br=br0;reboot is no name of a bridge");
}

}  // namespace
}  // namespace nandu
