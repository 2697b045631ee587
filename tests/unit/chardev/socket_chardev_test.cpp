#include <boost/json.hpp>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "chardev/chardev_set.h"
#include "chardev/chardev_test_support.h"

namespace nandu {
namespace {

struct SocketChardevTest : testing::Test {
  TurnedLoop loop;
  TestDirectory directory;
  ChardevSet set{*loop};
  Recorder front_end;

  std::shared_ptr<Chardev> Make(const boost::json::object& options) {
    const Result<> added = set.Add("socket", "s", options);
    EXPECT_TRUE(added) << added.error().message;
    std::shared_ptr<Chardev> chardev = set.Claim("s", "test").value();
    EXPECT_TRUE(chardev->Attach(front_end.FrontEnd()));
    return chardev;
  }
  std::shared_ptr<Chardev> MakeServer() {
    return Make({{"path", directory / "s"}, {"server", "on"}, {"wait", "off"}});
  }
  std::string MistakeOf(const boost::json::object& options) {
    const Result<> added = set.Add("socket", "s", options);
    return added ? "" : added.error().message;
  }
};

TEST_F(SocketChardevTest, AClientTalksAndListens) {
  const auto server = MakeServer();
  const UniqueFd client = ConnectTo(directory / "s");
  ASSERT_TRUE(loop.RunUntil([&] { return server->connected(); }));
  EXPECT_EQ(server->filename(), "unix:" + directory / "s" + ",server=on");
  EXPECT_EQ(WriteText(*server, "hello"), 5U);
  EXPECT_EQ(ReadNow(client.get()), "hello");
  ASSERT_EQ(::write(client.get(), "hi", 2), 2);
  EXPECT_TRUE(loop.RunUntil([&] { return front_end.data == "hi"; }));
}

TEST_F(SocketChardevTest, NobodyThereTakesAndDrops) {
  const auto server = MakeServer();
  EXPECT_EQ(WriteText(*server, "lost"), 4U);
}

TEST_F(SocketChardevTest, TheNextClientWaitsForTheFirstToLeave) {
  const auto server = MakeServer();
  UniqueFd first = ConnectTo(directory / "s");
  const UniqueFd second = ConnectTo(directory / "s");
  ASSERT_TRUE(loop.RunUntil([&] { return server->connected(); }));
  WriteText(*server, "one");
  EXPECT_EQ(ReadNow(first.get()), "one");
  EXPECT_EQ(ReadNow(second.get()), "");
  first.Reset();
  ASSERT_TRUE(loop.RunUntil([&] { return front_end.connections == std::vector<bool>{true, false, true}; }));
  WriteText(*server, "two");
  EXPECT_EQ(ReadNow(second.get()), "two");
}

TEST_F(SocketChardevTest, APeerThatDoesNotReadBlocksNothing) {
  const auto server = MakeServer();
  const UniqueFd client = ConnectTo(directory / "s");
  ASSERT_TRUE(loop.RunUntil([&] { return server->connected(); }));
  const std::string megabyte(1 << 20, 'x');
  const size_t taken = WriteText(*server, megabyte);
  EXPECT_LT(taken, megabyte.size());
  bool writable = false;
  server->NotifyWritable([&] { writable = true; });
  (*loop).RunReady();
  EXPECT_FALSE(writable);
  std::string all;
  while (all.size() < taken) {
    all += ReadNow(client.get());
  }
  EXPECT_TRUE(loop.RunUntil([&] { return writable; }));
}

TEST_F(SocketChardevTest, InputWaitsForRoom) {
  const auto server = MakeServer();
  const UniqueFd client = ConnectTo(directory / "s");
  ASSERT_TRUE(loop.RunUntil([&] { return server->connected(); }));
  front_end.room = 2;
  ASSERT_EQ(::write(client.get(), "hello", 5), 5);
  ASSERT_TRUE(loop.RunUntil([&] { return front_end.data == "he"; }));
  front_end.room = 100;
  server->AcceptInput();
  EXPECT_TRUE(loop.RunUntil([&] { return front_end.data == "hello"; }));
}

TEST_F(SocketChardevTest, AClientThatLeavesWhileNothingIsReadMakesPlace) {
  const auto server = MakeServer();
  UniqueFd first = ConnectTo(directory / "s");
  ASSERT_TRUE(loop.RunUntil([&] { return server->connected(); }));
  front_end.room = 0;
  server->AcceptInput();
  ASSERT_EQ(::write(first.get(), "unread", 6), 6);
  first.Reset();
  const UniqueFd second = ConnectTo(directory / "s");
  EXPECT_TRUE(loop.RunUntil([&] { return front_end.connections == std::vector<bool>{true, false, true}; }));
  EXPECT_EQ(front_end.data, "");
}

TEST_F(SocketChardevTest, AWriteToAClientThatLeftIsDropped) {
  const auto server = MakeServer();
  UniqueFd client = ConnectTo(directory / "s");
  ASSERT_TRUE(loop.RunUntil([&] { return server->connected(); }));
  front_end.room = 0;
  client.Reset();
  EXPECT_EQ(WriteText(*server, "late"), 4U);
  EXPECT_TRUE(loop.RunUntil([&] { return !server->connected(); }));
}

TEST_F(SocketChardevTest, AClientIsHungUpOn) {
  const auto server = MakeServer();
  const UniqueFd client = ConnectTo(directory / "s");
  ASSERT_TRUE(loop.RunUntil([&] { return server->connected(); }));
  server->DropPeer();
  EXPECT_TRUE(loop.RunUntil([&] { return !server->connected(); }));
  char byte = 0;
  EXPECT_EQ(::read(client.get(), &byte, 1), 0);
}

TEST_F(SocketChardevTest, AnOldSocketIsReplacedAndOursIsRemoved) {
  {
    const auto server = MakeServer();
    EXPECT_TRUE(std::filesystem::exists(directory / "s"));
  }
  ASSERT_TRUE(set.Remove("s"));
  EXPECT_FALSE(std::filesystem::exists(directory / "s"));
  const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strcpy(name.sun_path, (directory / "s").c_str());
  ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  const auto server = MakeServer();
  const UniqueFd client = ConnectTo(directory / "s");
  EXPECT_TRUE(loop.RunUntil([&] { return server->connected(); }));
}

TEST_F(SocketChardevTest, ASocketThatCannotBeDestroyedCanStillBeRemoved) {
  const auto server = MakeServer();
  set.ReleaseHost();
  EXPECT_FALSE(std::filesystem::exists(directory / "s"));
}

TEST_F(SocketChardevTest, AFileInTheWayStays) {
  std::ofstream(directory / "s") << "precious";
  EXPECT_NE(MistakeOf({{"path", directory / "s"}, {"server", "on"}, {"wait", "off"}}), "");
  EXPECT_EQ(std::filesystem::file_size(directory / "s"), 8U);
}

TEST_F(SocketChardevTest, AClientWithReconnectTriesUntilThereIsAServer) {
  const auto client = Make({{"path", directory / "peer"}, {"reconnect", "1"}});
  EXPECT_EQ(client->filename(), "disconnected:unix:" + directory / "peer");
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strcpy(name.sun_path, (directory / "peer").c_str());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_TRUE(loop.RunUntil([&] { return client->connected(); }));
  UniqueFd peer(::accept(listener.get(), nullptr, nullptr));
  WriteText(*client, "greeting");
  EXPECT_EQ(ReadNow(peer.get()), "greeting");
  peer.Reset();
  EXPECT_TRUE(loop.RunUntil([&] { return front_end.connections == std::vector<bool>{true, false, true}; }));
}

TEST_F(SocketChardevTest, AClientWithoutAServerIsASentence) {
  EXPECT_EQ(MistakeOf({{"path", "/nowhere/s"}}),
            "chardev 's': cannot connect to the unix socket /nowhere/s: No such file or directory; start its "
            "server first, "
            "or use reconnect=1 to keep trying");
}

TEST_F(SocketChardevTest, TcpServesOnThePortItGot) {
  const auto server = Make({{"host", "127.0.0.1"}, {"port", "0"}, {"server", "on"}, {"wait", "off"}});
  const std::string name = server->filename();
  const std::string prefix = "disconnected:tcp:127.0.0.1:";
  ASSERT_EQ(name.substr(0, prefix.size()), prefix);
  const int port = std::stoi(name.substr(prefix.size()));
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  ASSERT_TRUE(loop.RunUntil([&] { return server->connected(); }));
  WriteText(*server, "tcp");
  EXPECT_EQ(ReadNow(client.get()), "tcp");
  EXPECT_NE(server->filename().find(" <-> 127.0.0.1:"), std::string::npos);
}

TEST_F(SocketChardevTest, AnInheritedListenerServes) {
  const UniqueFd ours(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strcpy(name.sun_path, (directory / "inherited").c_str());
  ASSERT_EQ(::bind(ours.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  ASSERT_EQ(::listen(ours.get(), 1), 0);
  const int fd = ::dup(ours.get());
  const auto server = Make({{"fd", std::to_string(fd)}, {"server", "on"}, {"wait", "off"}});
  const UniqueFd client = ConnectTo(directory / "inherited");
  EXPECT_TRUE(loop.RunUntil([&] { return server->connected(); }));
}

TEST_F(SocketChardevTest, AnAbstractNameLeavesNoFile) {
  const std::string name = "nandu-test-" + std::to_string(::getpid());
  const auto server = Make({{"path", name}, {"abstract", "on"}, {"server", "on"}, {"wait", "off"}});
  EXPECT_EQ(server->filename(), "disconnected:unix:" + name + ",abstract=on,tight=on,server=on");
  EXPECT_FALSE(std::filesystem::exists(name));
}

TEST_F(SocketChardevTest, MistakesAreSentences) {
  EXPECT_EQ(MistakeOf({}), "chardev 's': a socket needs one of path=, host= with port=, or fd=");
  EXPECT_EQ(MistakeOf({{"path", "/x"}, {"fd", "3"}}),
            "chardev 's': a socket needs one of path=, host= with port=, or fd=");
  EXPECT_EQ(MistakeOf({{"host", "localhost"}}), "chardev 's': a TCP socket needs port=");
  EXPECT_EQ(MistakeOf({{"path", "/x"}, {"wait", "off"}}),
            "chardev 's': wait= is for servers; add server=on or drop it");
  EXPECT_EQ(MistakeOf({{"path", "/x"}, {"server", "on"}, {"reconnect", "1"}}),
            "chardev 's': reconnect= is for clients with an address; drop it");
  EXPECT_EQ(MistakeOf({{"fd", "12x"}, {"server", "on"}}), "chardev 's': fd=12x is no descriptor number");
  EXPECT_EQ(MistakeOf({{"fd", "9999"}, {"server", "on"}}),
            "chardev 's': fd=9999 is no socket: Bad file descriptor");
  EXPECT_NE(MistakeOf({{"host", ""}, {"port", "1"}, {"server", "on"}, {"telnet", "on"}}), "");
  EXPECT_NE(MistakeOf({{"host", ""}, {"port", "1"}, {"server", "on"}, {"tls-creds", "t0"}}), "");
  EXPECT_NE(MistakeOf({{"path", std::string(200, 'x')}, {"server", "on"}}), "");
}

}  // namespace
}  // namespace nandu
