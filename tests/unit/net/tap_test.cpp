// Taps in a network namespace of the test's own. Skipped, with the reason, where the host allows none.
#include "net/tap.h"

#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sstream>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/unique_fd.h"
#include "net/packet_channel.h"
#include "net/tap_setup.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

constexpr uint16_t kTestType = 0x88b5;  // IEEE 802: local experimental
const std::string kHeader(12, '\0');

std::string TestFrame(size_t length) {
  std::string frame(length, 'f');
  frame.replace(0, 14, std::string("\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x88\xb5", 14));
  return frame;
}

// Whoever is at the host's end of the interface.
class HostEnd {
 public:
  explicit HostEnd(const std::string& ifname)
      : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(kTestType))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kTestType);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(ifname.c_str()));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  void Send(const std::string& frame) {
    EXPECT_EQ(::send(fd_.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }
  std::string Receive() {
    std::string frame(70'000, '\0');
    const ssize_t got = ::recv(fd_.get(), frame.data(), frame.size(), 0);
    frame.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return frame;
  }

 private:
  UniqueFd fd_;
};

struct TapTest : testing::Test {
  static void SetUpTestSuite() {
    static const bool isolated = ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    reason = isolated ? "" : "no network namespace: " + ErrnoText(errno);
    if (isolated) {
      RaiseLoopback();
      reason = MistakeOf(Named("nt0"));
    }
  }
  // The tests that follow in this process stay in the namespace, and some talk to 127.0.0.1.
  static void RaiseLoopback() {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(::ioctl(socket.get(), SIOCSIFFLAGS, &request), 0) << ErrnoText(errno);
  }
  void SetUp() override {
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
  static TapOptions Named(const std::string& ifname) {
    TapOptions options;
    options.ifname = ifname;
    options.script = "no";
    options.downscript = "no";
    return options;
  }
  static Result<std::shared_ptr<Tap>> OpenTap(const TapOptions& options) {
    return Tap::Open(*opener, "net0", options);
  }
  static std::string MistakeOf(const TapOptions& options) {
    const auto tap = OpenTap(options);
    return tap ? "" : tap.error().message;
  }
  static void Up(const std::string& ifname, bool up = true) {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM, 0));
    std::ofstream("/proc/sys/net/ipv6/conf/" + ifname + "/disable_ipv6") << "1";
    ifreq request{};
    std::strcpy(request.ifr_name, ifname.c_str());
    ASSERT_EQ(::ioctl(fd.get(), SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = static_cast<int16_t>(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    ASSERT_EQ(::ioctl(fd.get(), SIOCSIFFLAGS, &request), 0);
  }
  static int OpenRaw(const std::string& ifname, int flags) {
    const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    ifreq request{};
    std::strcpy(request.ifr_name, ifname.c_str());
    request.ifr_flags = static_cast<int16_t>(flags);
    EXPECT_EQ(::ioctl(fd, TUNSETIFF, &request), 0);
    return fd;
  }

  static inline std::string reason;
  static inline const std::unique_ptr<Opener> opener = CreateInProcessOpener();
};

TEST_F(TapTest, MakesAnInterfaceThatGoesWithIt) {
  {
    const auto tap = OpenTap(Named("nt0"));
    ASSERT_TRUE(tap) << tap.error().message;
    EXPECT_EQ((*tap)->ifname(), "nt0");
    EXPECT_NE(::if_nametoindex("nt0"), 0U);
    EXPECT_TRUE((*tap)->has_vnet_header());
    EXPECT_TRUE((*tap)->offloads().tso4);
  }
  EXPECT_EQ(::if_nametoindex("nt0"), 0U);
}

TEST_F(TapTest, WithoutANameTheKernelChoosesOne) {
  TapOptions options;
  options.script = "no";
  options.downscript = "no";
  const auto tap = OpenTap(options);
  ASSERT_TRUE(tap);
  EXPECT_EQ((*tap)->ifname().substr(0, 3), "tap");
}

TEST_F(TapTest, AnInterfaceInUseIsASentence) {
  const auto tap = OpenTap(Named("nt0"));
  EXPECT_EQ(MistakeOf(Named("nt0")),
            "tap 'nt0' is in use by another process; stop that VM or choose another ifname=");
}

TEST_F(TapTest, WhatIsNoTapIsASentence) {
  EXPECT_EQ(MistakeOf(Named("lo")), "'lo' is an interface but no tap; choose another ifname=");
  EXPECT_EQ(MistakeOf(Named("a-name-that-is-too-long")),
            "ifname 'a-name-that-is-too-long' is longer than 15 characters");
  EXPECT_EQ(MistakeOf(Named("../etc")), "ifname '../etc' is no interface name");
  const UniqueFd tun(OpenRaw("ntun0", IFF_TUN | IFF_NO_PI));
  EXPECT_NE(MistakeOf(Named("ntun0")), "");
}

TEST_F(TapTest, OneQueueOfAMultiQueueTapIsEnough) {
  UniqueFd maker(OpenRaw("ntm0", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR));
  ASSERT_EQ(::ioctl(maker.get(), TUNSETPERSIST, 1), 0);
  maker.Reset();
  {
    const auto tap = OpenTap(Named("ntm0"));
    EXPECT_TRUE(tap) << tap.error().message;
  }
  maker.Reset(OpenRaw("ntm0", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR));
  ASSERT_EQ(::ioctl(maker.get(), TUNSETPERSIST, 0), 0);
}

TEST_F(TapTest, SeveralQueuesOfASingleQueueTapAreASentence) {
  UniqueFd maker(OpenRaw("nts0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
  ASSERT_EQ(::ioctl(maker.get(), TUNSETPERSIST, 1), 0);
  maker.Reset();
  TapOptions options = Named("nts0");
  options.queues = 2;
  EXPECT_EQ(MistakeOf(options),
            "tap 'nts0' was made with one queue; use queues=1 or make it anew with multi_queue");
  maker.Reset(OpenRaw("nts0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
  ASSERT_EQ(::ioctl(maker.get(), TUNSETPERSIST, 0), 0);
}

TEST_F(TapTest, QueuesAreDetachedAndAttached) {
  TapOptions options = Named("nt0");
  options.queues = 3;
  const auto tap = OpenTap(options).value();
  EXPECT_EQ(tap->queue_pairs(), 3U);
  EXPECT_TRUE(tap->SetActivePairs(1));
  EXPECT_TRUE(tap->SetActivePairs(3));
  EXPECT_TRUE(tap->SetActivePairs(2));
  EXPECT_FALSE(tap->SetActivePairs(0));
  EXPECT_FALSE(tap->SetActivePairs(4));
  EXPECT_TRUE(tap->SetHeaderBytes(12));
  EXPECT_TRUE(tap->SetOffloads({.csum = true, .tso4 = true}));
  EXPECT_TRUE(tap->SetOffloads({}));
}

TEST_F(TapTest, AnInheritedTapTellsWhatItIs) {
  TapOptions options;
  const int fd = OpenRaw("nti0", IFF_TAP | IFF_NO_PI);
  options.fd = std::to_string(fd);
  const auto tap = OpenTap(options);
  ASSERT_TRUE(tap) << tap.error().message;
  EXPECT_EQ((*tap)->ifname(), "nti0");
  EXPECT_FALSE((*tap)->has_vnet_header());
  EXPECT_EQ(::fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

TEST_F(TapTest, SeveralInheritedQueuesMakeOneTap) {
  const int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
  TapOptions options;
  options.fds = std::to_string(OpenRaw("nti0", flags)) + ":" + std::to_string(OpenRaw("nti0", flags));
  const auto tap = OpenTap(options);
  ASSERT_TRUE(tap) << tap.error().message;
  EXPECT_EQ((*tap)->queue_pairs(), 2U);
}

TEST_F(TapTest, MistakesWithDescriptorsAreSentences) {
  const UniqueFd null(::open("/dev/null", O_RDWR));
  TapOptions options;
  options.fd = std::to_string(null.get());
  EXPECT_NE(MistakeOf(options).find("is no tap"), std::string::npos);
  options.fd = "three";
  EXPECT_EQ(MistakeOf(options), "'three' is no descriptor number");
  options.fd = "3:4";
  EXPECT_EQ(MistakeOf(options), "fd= takes one descriptor; use fds=3:4");
  options.fd = {};
  options.fds = "3:3";
  EXPECT_EQ(MistakeOf(options), "descriptor 3 is given twice");
  options.ifname = "nt0";
  EXPECT_NE(MistakeOf(options), "");
}

TEST_F(TapTest, AScriptRunsWithTheInterfacesName) {
  const std::string directory =
      std::filesystem::temp_directory_path() / ("nandu-tap-" + std::to_string(::getpid()));
  std::filesystem::create_directory(directory);
  const std::string up = directory + "/up";
  const std::string down = directory + "/down";
  std::ofstream(up) << "#!/bin/sh\necho up $1 >> " << directory << "/log\n";
  std::ofstream(down) << "#!/bin/sh\necho down $1 >> " << directory << "/log\n";
  ::chmod(up.c_str(), 0700);
  ::chmod(down.c_str(), 0700);
  TapOptions options = Named("nt0");
  options.script = up;
  options.downscript = down;
  {
    const auto tap = OpenTap(options);
    ASSERT_TRUE(tap);
    (*tap)->ReleaseHost();  // and no second time when it is destroyed
  }
  std::ostringstream log;
  log << std::ifstream(directory + "/log").rdbuf();
  EXPECT_EQ(log.str(), "up nt0\ndown nt0\n");

  options.script = "/bin/false";
  options.downscript = "no";
  EXPECT_EQ(
      MistakeOf(options),
      "the network script /bin/false failed for nt0 with status 1; fix it, or use script=no,downscript=no");
  options.script = directory + "/missing";
  EXPECT_NE(MistakeOf(options).find("cannot run the network script"), std::string::npos);
  std::filesystem::remove_all(directory);
}

TEST_F(TapTest, WhatIsNotServedIsASentence) {
  TapOptions options = Named("nt0");
  options.br = "br0";
  EXPECT_NE(MistakeOf(options).find("br= goes with helper="), std::string::npos);
  options = Named("nt0");
  options.poll_us = 5;
  EXPECT_NE(MistakeOf(options).find("add vhost=on"), std::string::npos);
  options = Named("nt0");
  options.queues = 0;
  EXPECT_NE(MistakeOf(options).find("queues=0"), std::string::npos);
}

// A host without vhost-net.
class NoVhost final : public Opener {
 public:
  Result<UniqueFd> Open(const std::string& path, int flags, mode_t mode) override {
    if (path == "/dev/vhost-net") {
      return FailErrno(ENOENT, "cannot open {}", path);
    }
    return own_->Open(path, flags, mode);
  }
  Result<UniqueFd> OpenDirectory(const std::string& path) override { return own_->OpenDirectory(path); }
  Result<UniqueFd> ConnectUnix(const std::string& path, UnixNamespace in) override {
    return own_->ConnectUnix(path, in);
  }
  Result<UniqueFd> ListenUnix(const std::string& path, UnixNamespace in) override {
    return own_->ListenUnix(path, in);
  }
  Result<> Remove(const std::string& path) override { return own_->Remove(path); }

 private:
  const std::unique_ptr<Opener> own_ = CreateInProcessOpener();
};

// As QEMU 7.2: vhost=on that cannot be had is a warning, vhostforce=on an error.
TEST_F(TapTest, MissingVhostIsServedHereUnlessItIsForced) {
  NoVhost host;
  TapOptions options = Named("nt0");
  options.vhost = true;
  {
    const auto tap = Tap::Open(host, "net0", options);
    ASSERT_TRUE(tap) << tap.error().message;
    EXPECT_EQ((*tap)->vhost(0), nullptr);
  }
  options.vhostforce = true;
  const auto forced = Tap::Open(host, "net0", options);
  ASSERT_FALSE(forced);
  EXPECT_NE(forced.error().message.find("cannot open /dev/vhost-net"), std::string::npos);
}

TEST_F(TapTest, VhostDescriptorsFitTheQueues) {
  TapOptions options = Named("nt0");
  options.vhostfds = "70:71";
  EXPECT_NE(MistakeOf(options).find("2 vhost descriptors and 1 queues"), std::string::npos);
  options.vhostfd = "70";
  EXPECT_NE(MistakeOf(options).find("exclude each other"), std::string::npos);
  options = Named("nt0");
  options.vhost = false;
  options.vhostfd = "70";
  EXPECT_NE(MistakeOf(options).find("need vhost=on"), std::string::npos);
}

struct PacketChannelTest : TapTest {
  void SetUp() override {
    TapTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    tap = OpenTap(Named("nt0")).value();
    ASSERT_TRUE(tap->SetHeaderBytes(12));
    Up("nt0");
    host = std::make_unique<HostEnd>("nt0");
    channel = tap->OpenChannel(0, *loop).value();
  }
  void TearDown() override {
    channel.reset();
    loop.RunUntilIdle();
  }
  NetChannel::SendResult Send(const std::string& text) {
    std::string bytes = text;
    const std::array iov = {iovec{bytes.data(), 12}, iovec{bytes.data() + 12, bytes.size() - 12}};
    return channel->Send(iov);
  }
  // The next frame with its header; empty when there is none now.
  std::string Receive(size_t room = 2000) {
    std::string bytes(room, '\0');
    const std::array iov = {iovec{bytes.data(), 20}, iovec{bytes.data() + 20, bytes.size() - 20}};
    const int64_t got = channel->Receive(iov);
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }

  EngineLoop loop;
  std::shared_ptr<Tap> tap;
  std::unique_ptr<HostEnd> host;
  std::unique_ptr<NetChannel> channel;
};

TEST_F(PacketChannelTest, SendsToTheHost) {
  EXPECT_EQ(Send(kHeader + TestFrame(100)), NetChannel::SendResult::kSent);
  EXPECT_EQ(host->Receive(), TestFrame(100));
}

TEST_F(PacketChannelTest, ReceivesFromTheHost) {
  host->Send(TestFrame(200));
  EXPECT_EQ(Receive().substr(12), TestFrame(200));
  EXPECT_EQ(Receive(), "");
}

TEST_F(PacketChannelTest, CallsWhenFramesComeAgain) {
  int calls = 0;
  channel->StartRx([&] { ++calls; });
  EXPECT_EQ(Receive(), "");
  host->Send(TestFrame(60));
  loop.RunUntil([&] { return calls > 0; });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(Receive().substr(12), TestFrame(60));
}

TEST_F(PacketChannelTest, StoppedItCallsNobody) {
  int calls = 0;
  channel->StartRx([&] { ++calls; });
  EXPECT_EQ(Receive(), "");
  channel->StopRx();
  host->Send(TestFrame(60));
  loop.RunUntilIdle();
  EXPECT_EQ(calls, 0);
  channel->StartRx([&] { ++calls; });
  EXPECT_EQ(Receive().substr(12), TestFrame(60));
  EXPECT_EQ(Receive(), "");
  host->Send(TestFrame(61));
  loop.RunUntil([&] { return calls > 0; });
  EXPECT_EQ(Receive().substr(12), TestFrame(61));
}

TEST_F(PacketChannelTest, ItMayGoWhileItWaits) {
  channel->StartRx([] {});
  EXPECT_EQ(Receive(), "");
  channel.reset();
  tap.reset();
  loop.RunUntilIdle();
}

TEST_F(PacketChannelTest, ItMayStopItselfInItsCallback) {
  bool called = false;
  channel->StartRx([&] {
    called = true;
    channel->StopRx();
  });
  EXPECT_EQ(Receive(), "");
  host->Send(TestFrame(60));
  loop.RunUntil([&] { return called; });
  EXPECT_TRUE(called);
}

TEST_F(PacketChannelTest, AnInterfaceThatIsDownDropsAndFloodsNobody) {
  Up("nt0", false);
  EXPECT_EQ(Send(kHeader + TestFrame(60)), NetChannel::SendResult::kDropped);
}

TEST_F(PacketChannelTest, AHeaderTheKernelRefusesIsDropped) {
  std::string bad = kHeader;
  bad[1] = '\x7f';  // no such segmentation type
  EXPECT_EQ(Send(bad + TestFrame(60)), NetChannel::SendResult::kDropped);
}

TEST_F(PacketChannelTest, AWaitForRoomIsCalledOff) {
  bool writable = false;
  channel->NotifyWritable([&] { writable = true; });
  channel->NotifyWritable(nullptr);
  loop.RunUntilIdle();
  EXPECT_FALSE(writable);
}

TEST_F(PacketChannelTest, AWritableTapSaysSo) {
  bool writable = false;
  channel->NotifyWritable([&] { writable = true; });
  loop.RunUntil([&] { return writable; });
  EXPECT_TRUE(writable);
}

}  // namespace
}  // namespace nandu
