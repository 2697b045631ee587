// A user network with its real thread and libslirp; the test is the NIC and, by hand-written frames, the guest.
#include "net/user.h"

#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "support/fake_chardev.h"
#include "support/fake_control_loop.h"
#include "support/manual_loop.h"

namespace nandu {
namespace {

UserOptions Options(const boost::json::object& options) {
  return FromJson<UserOptions>(options, {.lenient = true}).value();
}

constexpr int kPatienceMs = 20'000;
const std::string kGuestMac("\x52\x54\0\x12\x34\x56", 6);

std::string Word(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
std::string Address(const char* text) {
  in_addr address{};
  ::inet_pton(AF_INET, text, &address);
  return {reinterpret_cast<const char*>(&address), sizeof(address)};
}

// RFC 1071
std::string Checksum(const std::string& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (i % 2 == 0 ? 8 : 0);
  }
  while (sum >> 16 != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return Word(~sum & 0xffff);
}

std::string Ethernet(const std::string& to, unsigned type, const std::string& payload) {
  return to + kGuestMac + Word(type) + payload;
}
std::string Ip(const char* from, const char* to, char protocol, const std::string& payload) {
  const std::string front = "\x45" + std::string(1, '\0') + Word(static_cast<unsigned>(20 + payload.size())) +
                            std::string(4, '\0') + "\x40" + protocol;
  const std::string back = Address(from) + Address(to);
  return front + Checksum(front + std::string(2, '\0') + back) + back + payload;
}
std::string Tcp(const char* from, const char* to, unsigned source, unsigned port, uint32_t sequence, uint32_t ack,
                char flags, const std::string& data = {}) {
  const auto number = [](uint32_t value) { return Word(value >> 16) + Word(value & 0xffff); };
  const std::string front =
      Word(source) + Word(port) + number(sequence) + number(ack) + "\x50" + flags + Word(60'000);
  const std::string rest = std::string(2, '\0') + data;
  const std::string pseudo =
      Address(from) + Address(to) + std::string("\0\x06", 2) + Word(static_cast<unsigned>(20 + data.size()));
  return Ip(from, to, 6, front + Checksum(pseudo + front + std::string(2, '\0') + rest) + rest);
}
uint32_t NumberAt(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return ntohl(value);
}

class UserNetTest : public ::testing::Test {
 protected:
  Result<std::shared_ptr<UserNet>> Open(const UserOptions& options) {
    return UserNet::Open({*opener_, &control_,
                          [this](const std::string& text, const std::string&, const std::string&)
                              -> Result<std::shared_ptr<Chardev>> {
                            opened_ = text;
                            return chardev_;
                          },
                          nullptr},
                         "net0", options);
  }
  void Start(const UserOptions& options) {
    auto net = Open(options);
    ASSERT_TRUE(net.has_value()) << net.error().message;
    net_ = *net;
    channel_ = net_->OpenChannel(0, *loop_).value();
  }
  ~UserNetTest() override { channel_.reset(); }

  void Send(std::string frame) {
    const iovec one{frame.data(), frame.size()};
    EXPECT_EQ(channel_->Send({&one, 1}), NetChannel::SendResult::kSent);
  }
  // The next frame that `wanted` accepts; empty when none comes.
  std::string Receive(const std::function<bool(const std::string&)>& wanted) {
    for (int waited_ms = 0; waited_ms < kPatienceMs;) {
      std::string frame(70'000, '\0');
      const iovec one{frame.data(), frame.size()};
      const int64_t got = channel_->Receive({&one, 1});
      if (got > 0) {
        frame.resize(static_cast<size_t>(got));
        if (wanted(frame)) {
          return frame;
        }
      } else {
        control_.RunReady();
        ::poll(nullptr, 0, 2);
        waited_ms += 2;
      }
    }
    return {};
  }
  template <class Condition>
  bool Eventually(Condition condition) {
    for (int waited_ms = 0; waited_ms < kPatienceMs; waited_ms += 2) {
      control_.RunReady();
      if (condition()) {
        return true;
      }
      ::poll(nullptr, 0, 2);
    }
    return false;
  }
  // The guest tells who has 10.0.2.15, so that the network need not ask, and learns the gateway's MAC address.
  std::string Introduce() {
    const auto arp = [](char operation, const char* target) {
      return std::string("\0\x01\x08\0\x06\x04\0", 7) + operation + kGuestMac + Address("10.0.2.15") +
             std::string(6, '\0') + Address(target);
    };
    Send(Ethernet(std::string(6, '\xff'), 0x0806, arp(1, "10.0.2.2")));
    const std::string reply = Receive([](const std::string& frame) {
      return frame.substr(12, 2) == Word(0x0806) && frame[21] == 2;
    });
    return reply.size() < 28 ? std::string() : reply.substr(22, 6);
  }
  static bool IsTcpFrom(const std::string& frame, unsigned port) {
    return frame.size() >= 54 && frame.substr(12, 2) == Word(0x0800) && frame[23] == 6 &&
           frame.substr(34, 2) == Word(port);
  }

  const std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  FakeControlLoop control_;
  ManualLoop manual_;
  ManualLoop* loop_ = &manual_;
  std::shared_ptr<FakeChardev> chardev_ = std::make_shared<FakeChardev>();
  std::string opened_;
  std::shared_ptr<UserNet> net_;
  std::unique_ptr<NetChannel> channel_;
};

TEST_F(UserNetTest, DhcpOffersWhatTheOptionsSay) {
  Start(Options({{"dns", "10.0.2.7"}, {"dnssearch", boost::json::array{boost::json::object{{"str", "example.org"}}}}, {"bootfile", "pxe.0"}}));
  // RFC 2131: BOOTREQUEST with the magic cookie, option 53 = DISCOVER.
  std::string bootp = std::string("\x01\x01\x06\0", 4) + "abcd" + std::string(20, '\0') + kGuestMac +
                      std::string(10 + 64 + 128, '\0') + "\x63\x82\x53\x63" + "\x35\x01\x01" + "\xff";
  bootp.resize(300, '\0');
  const std::string udp = Word(68) + Word(67) + Word(static_cast<unsigned>(8 + bootp.size())) + Word(0) + bootp;
  Send(Ethernet(std::string(6, '\xff'), 0x0800, Ip("0.0.0.0", "255.255.255.255", 17, udp)));
  const std::string offer = Receive([](const std::string& frame) {
    return frame.size() > 282 && frame[23] == 17 && frame.substr(36, 2) == Word(68);
  });
  ASSERT_FALSE(offer.empty());
  EXPECT_EQ(offer.substr(46, 4), "abcd");
  EXPECT_EQ(offer.substr(58, 4), Address("10.0.2.15"));
  const std::string options = offer.substr(282);
  EXPECT_NE(options.find("\x35\x01\x02"), std::string::npos);  // OFFER
  EXPECT_NE(options.find("\x06\x04" + Address("10.0.2.7")), std::string::npos);
  EXPECT_NE(options.find("\x03\x04" + Address("10.0.2.2")), std::string::npos);
  EXPECT_NE(options.find("example"), std::string::npos);
  EXPECT_NE(offer.find("pxe.0"), std::string::npos);
}

TEST_F(UserNetTest, AForwardedPortReachesTheGuest) {
  Start({});
  ASSERT_FALSE(Introduce().empty());
  Result<> added = Fail(Errc::kIo, "not answered");
  net_->AddHostForward("tcp:127.0.0.1:0-:22", [&](Result<> result) { added = std::move(result); });
  std::string table;
  ASSERT_TRUE(Eventually([&] { return added.has_value(); })) << added.error().message;
  net_->ListConnections([&](std::string text) { table = std::move(text); });
  ASSERT_TRUE(Eventually([&] { return !table.empty(); }));
  const size_t at = table.find("127.0.0.1");
  ASSERT_NE(at, std::string::npos) << table;
  const auto port = static_cast<uint16_t>(std::stoul(table.substr(at + 9)));
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  const std::string syn = Receive([](const std::string& frame) {
    return frame.size() >= 54 && frame[23] == 6 && frame.substr(36, 2) == Word(22) && (frame[47] & 2) != 0;
  });
  EXPECT_FALSE(syn.empty());
  Result<> removed = Fail(Errc::kIo, "not answered");
  net_->RemoveHostForward(Format("tcp:127.0.0.1:{}", port), [&](Result<> result) { removed = std::move(result); });
  EXPECT_TRUE(Eventually([&] { return removed.has_value(); })) << removed.error().message;
  net_->RemoveHostForward(Format("tcp:127.0.0.1:{}", port), [&](Result<> result) { removed = std::move(result); });
  ASSERT_TRUE(Eventually([&] { return !removed.has_value(); }));
  EXPECT_EQ(removed.error().code, Errc::kNotFound);
}

TEST_F(UserNetTest, APortInUseIsSaidAtStart) {
  const UniqueFd holder(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(holder.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
  ASSERT_EQ(::listen(holder.get(), 1), 0);
  socklen_t length = sizeof(at);
  ::getsockname(holder.get(), reinterpret_cast<sockaddr*>(&at), &length);
  const auto net = Open(Options({{"hostfwd", boost::json::array{boost::json::object{{"str", Format("tcp:127.0.0.1:{}-:22", ntohs(at.sin_port))}}}}}));
  ASSERT_FALSE(net.has_value());
  EXPECT_EQ(net.error().message,
            Format("hostfwd=: cannot forward tcp:127.0.0.1:{}; choose a host address and port that are free: "
                   "Address already in use",
                   ntohs(at.sin_port)));
}

TEST_F(UserNetTest, AGuestForwardTalksToItsChardev) {
  Start(Options({{"guestfwd", boost::json::array{boost::json::object{{"str", "tcp:10.0.2.100:80-chardev:c0"}}}}}));
  EXPECT_EQ(opened_, "chardev:c0");
  const std::string gateway = Introduce();
  ASSERT_EQ(gateway.size(), 6U);
  constexpr const char* kGuest = "10.0.2.15";
  constexpr const char* kServer = "10.0.2.100";
  Send(Ethernet(gateway, 0x0800, Tcp(kGuest, kServer, 4000, 80, 1000, 0, 0x02)));
  const std::string accepted =
      Receive([](const std::string& frame) { return IsTcpFrom(frame, 80) && frame[47] == 0x12; });
  ASSERT_FALSE(accepted.empty());
  const uint32_t theirs = NumberAt(accepted, 38) + 1;
  Send(Ethernet(gateway, 0x0800, Tcp(kGuest, kServer, 4000, 80, 1001, theirs, 0x10)));
  Send(Ethernet(gateway, 0x0800, Tcp(kGuest, kServer, 4000, 80, 1001, theirs, 0x18, "hello")));
  EXPECT_TRUE(Eventually([&] { return chardev_->written() == "hello"; })) << chardev_->written();
  chardev_->Type("world");
  const std::string answer = Receive([](const std::string& frame) {
    return IsTcpFrom(frame, 80) && frame.size() >= 59 && frame.substr(frame.size() - 5) == "world";
  });
  EXPECT_FALSE(answer.empty());
}

TEST_F(UserNetTest, AGuestThatDoesNotReadMissesFramesAndNothingElse) {
  Start({});
  ASSERT_FALSE(Introduce().empty());
  // Each answered by one of the same size; nobody receives them.
  const std::string echo = std::string("\x08\0", 2) + Checksum(std::string("\x08\0\0\0\0\x01\0\x01", 8) + std::string(1400, '\0')) +
                           std::string("\0\x01\0\x01", 4) + std::string(1400, '\0');
  const std::string ping = Ethernet(std::string("\x52\x55\x0a\0\x02\x02", 6), 0x0800, Ip("10.0.2.15", "10.0.2.2", 1, echo));
  EXPECT_TRUE(Eventually([&] {
    for (int i = 0; i < 100; ++i) {
      const iovec one{const_cast<char*>(ping.data()), ping.size()};
      static_cast<void>(channel_->Send({&one, 1}));
    }
    return net_->dropped_frames() > 0;
  }));
  // It goes on once the guest reads again.
  EXPECT_FALSE(Receive([](const std::string& frame) { return frame[23] == 1; }).empty());
}

struct OlderSlirp {
  static constexpr uint32_t kAbi = SlirpModule::kAbi + 1;
  static constexpr const char* kName = SlirpModule::kName;
  static constexpr const char* kPackage = SlirpModule::kPackage;
  ModuleHeader header;
};

TEST(SlirpModule, OneOfAnotherVersionIsRefused) {
  const auto opened = OpenModule<OlderSlirp>();
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("belongs to another version of nandu"), std::string::npos)
      << opened.error().message;
}

}  // namespace
}  // namespace nandu
