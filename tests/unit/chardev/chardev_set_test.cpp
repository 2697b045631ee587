#include "chardev/chardev_set.h"

#include <boost/json.hpp>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/stat.h>

#include "chardev/chardev_test_support.h"

namespace nandu {
namespace {

struct ChardevSetTest : testing::Test {
  TurnedLoop loop;
  TestDirectory directory;
  ChardevSet set{*loop};

  std::string Message(const Result<>& result) { return result ? "" : result.error().message; }
  std::string FileText(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
};

TEST_F(ChardevSetTest, AnUnknownBackendNamesTheNearest) {
  EXPECT_EQ(Message(set.Add("sokcet", "c", {})),
            "chardev 'c': no backend 'sokcet' (did you mean 'socket'?); known: file, null, pipe, pty, "
            "socket, stdio");
}

TEST_F(ChardevSetTest, AnUnknownOptionIsAnError) {
  const std::string message = Message(set.Add("file", "c", {{"path", directory / "f"}, {"apend", "on"}}));
  EXPECT_NE(message.find("apend"), std::string::npos);
  EXPECT_NE(message.find("append"), std::string::npos);
  EXPECT_FALSE(set.Has("c"));
}

TEST_F(ChardevSetTest, AnIdIsTakenOnce) {
  ASSERT_TRUE(set.Add("null", "c", {}));
  EXPECT_EQ(Message(set.Add("null", "c", {})), "chardev 'c' exists already; choose another id");
}

TEST_F(ChardevSetTest, OneUserUnlessMuxed) {
  ASSERT_TRUE(set.Add("null", "c", {}));
  auto first = set.Claim("c", "serial0");
  ASSERT_TRUE(first);
  EXPECT_EQ(set.Claim("c", "serial1").error().message,
            "chardev 'c' is in use by serial0; add mux=on to it to share it");
  EXPECT_EQ(Message(set.Remove("c")), "chardev 'c' is in use; remove its device first");
  first->reset();
  EXPECT_TRUE(set.Claim("c", "serial1"));
}

TEST_F(ChardevSetTest, AMuxGivesEachUserAPort) {
  ASSERT_TRUE(set.Add("null", "c", {{"mux", "on"}}));
  const auto first = set.Claim("c", "serial0");
  const auto second = set.Claim("c", "monitor0");
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->get(), second->get());
}

TEST_F(ChardevSetTest, ReleasingDetaches) {
  ASSERT_TRUE(set.Add("null", "c", {}));
  Recorder front_end;
  {
    const auto held = set.Claim("c", "serial0");
    ASSERT_TRUE((*held)->Attach(front_end.FrontEnd()));
    EXPECT_TRUE(set.List()[0].frontend_open);
  }
  EXPECT_FALSE(set.List()[0].frontend_open);
}

TEST_F(ChardevSetTest, ListsAsQueryChardev) {
  ASSERT_TRUE(set.Add("null", "n", {}));
  ASSERT_TRUE(set.Add("file", "f", {{"path", directory / "out"}}));
  ASSERT_TRUE(set.Add("socket", "s", {{"path", directory / "s"}, {"server", "on"}, {"wait", "off"}}));
  const auto list = set.List();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].filename, "file");
  EXPECT_EQ(list[1].filename, "null");
  EXPECT_EQ(list[2].filename, "disconnected:unix:" + directory / "s" + ",server=on");
}

TEST_F(ChardevSetTest, ANameThatIsNotThereNamesTheNearest) {
  ASSERT_TRUE(set.Add("null", "charserial0", {}));
  EXPECT_EQ(set.Claim("charserial1", "serial0").error().message,
            "no chardev 'charserial1' (did you mean 'charserial0'?); add -chardev BACKEND,id=charserial1");
}

TEST_F(ChardevSetTest, AFileIsEmptiedOrAppendedTo) {
  const std::string path = directory / "out";
  std::ofstream(path) << "old ";
  ASSERT_TRUE(set.Add("file", "a", {{"path", path}, {"append", "on"}}));
  EXPECT_EQ(WriteText(**set.Claim("a", "x"), "new"), 3U);
  EXPECT_EQ(FileText(path), "old new");
  ASSERT_TRUE(set.Add("file", "b", {{"path", path}}));
  EXPECT_EQ(WriteText(**set.Claim("b", "x"), "fresh"), 5U);
  EXPECT_EQ(FileText(path), "fresh");
}

TEST_F(ChardevSetTest, ALogFileGetsACopy) {
  ASSERT_TRUE(set.Add("null", "n", {{"logfile", directory / "log"}}));
  EXPECT_EQ(WriteText(**set.Claim("n", "x"), "boot"), 4U);
  EXPECT_EQ(FileText(directory / "log"), "boot");
}

TEST_F(ChardevSetTest, AMissingDirectoryIsASentence) {
  EXPECT_EQ(Message(set.Add("file", "f", {{"path", "/nowhere/x"}})),
            "chardev 'f': cannot open /nowhere/x: No such file or directory");
}

TEST_F(ChardevSetTest, APairOfPipesCarriesBothWays) {
  ASSERT_EQ(::mkfifo((directory / "p.in").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((directory / "p.out").c_str(), 0600), 0);
  ASSERT_TRUE(set.Add("pipe", "p", {{"path", directory / "p"}}));
  const auto pipe = set.Claim("p", "x").value();
  Recorder front_end;
  ASSERT_TRUE(pipe->Attach(front_end.FrontEnd()));
  const UniqueFd to(::open((directory / "p.in").c_str(), O_WRONLY | O_NONBLOCK));
  const UniqueFd from(::open((directory / "p.out").c_str(), O_RDONLY | O_NONBLOCK));
  ASSERT_EQ(::write(to.get(), "in", 2), 2);
  EXPECT_EQ(WriteText(*pipe, "out"), 3U);
  EXPECT_EQ(ReadNow(from.get()), "out");
  EXPECT_TRUE(loop.RunUntil([&] { return front_end.data == "in"; }));
}

TEST_F(ChardevSetTest, LegacyTextMakesOrNames) {
  EXPECT_EQ(set.AddLegacy("null", "serial0", LegacyMux::kAllowed).value(), "serial0");
  EXPECT_EQ(set.AddLegacy("chardev:serial0", "serial1", LegacyMux::kAllowed).value(), "serial0");
  EXPECT_EQ(set.AddLegacy("none", "serial2", LegacyMux::kAllowed).value(), "");
  EXPECT_FALSE(set.Has("serial2"));
}

TEST_F(ChardevSetTest, NobodyToWaitForIsDoneAtOnce) {
  ASSERT_TRUE(set.Add("socket", "s", {{"path", directory / "s"}, {"server", "on"}, {"wait", "off"}}));
  bool done = false;
  set.WaitForClients([&] { done = true; });
  EXPECT_TRUE(done);
}

TEST_F(ChardevSetTest, WaitsUntilEveryServerHadItsClient) {
  ASSERT_TRUE(set.Add("socket", "a", {{"path", directory / "a"}, {"server", "on"}}));
  ASSERT_TRUE(set.Add("socket", "b", {{"path", directory / "b"}, {"server", "on"}, {"wait", "on"}}));
  bool done = false;
  set.WaitForClients([&] { done = true; });
  const UniqueFd first = ConnectTo(directory / "a");
  EXPECT_TRUE(loop.RunUntil([&] { return set.Claim("a", "x").value()->connected(); }));
  EXPECT_FALSE(done);
  const UniqueFd second = ConnectTo(directory / "b");
  EXPECT_TRUE(loop.RunUntil([&] { return done; }));
}

}  // namespace
}  // namespace nandu
