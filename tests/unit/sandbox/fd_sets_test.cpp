// Descriptors handed in, by numbered sets.
#include "sandbox/fd_sets.h"

#include <array>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/opener.h"

namespace nandu {
namespace {

using testing::HasSubstr;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read.Reset(ends[0]);
    write.Reset(ends[1]);
  }
  UniqueFd read, write;
};

TEST(FdSets, OpeningGivesACopyOfTheOneThatFits) {
  FdSets sets;
  Pipe pipe;
  ASSERT_EQ(sets.Add(3, std::move(pipe.read), std::nullopt).value(), 3);
  ASSERT_EQ(sets.Add(3, std::move(pipe.write), "to").value(), 3);
  const UniqueFd to = sets.Open(3, O_WRONLY | O_CREAT | O_TRUNC).value();
  const UniqueFd from = sets.Open(3, O_RDONLY | O_NONBLOCK).value();
  ASSERT_EQ(::write(to.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(from.get(), &byte, 1), 1);
  EXPECT_EQ(::read(from.get(), &byte, 1), -1) << "it does not wait, as asked for";
  EXPECT_NE(::fcntl(to.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_THAT(sets.Open(3, O_RDWR).error().message, HasSubstr("opened for reading and writing"));
  EXPECT_EQ(sets.Open(4, O_RDONLY).error().message, "there is no descriptor set 4");
}

TEST(FdSets, TheFirstFreeNumberIsTaken) {
  FdSets sets;
  const auto null = [] { return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); };
  EXPECT_EQ(sets.Add(std::nullopt, null(), std::nullopt).value(), 0);
  EXPECT_EQ(sets.Add(2, null(), std::nullopt).value(), 2);
  EXPECT_EQ(sets.Add(std::nullopt, null(), "new").value(), 1);
  const std::vector<FdSetInfo> all = sets.List();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].id, 1);
  EXPECT_EQ(all[1].members.at(0).opaque, "new");
  EXPECT_THAT(sets.Add(-1, null(), std::nullopt).error().message, HasSubstr("no number of a descriptor set"));
}

TEST(FdSets, AnEmptySetIsGone) {
  FdSets sets;
  Pipe pipe;
  const int fd = pipe.read.get();
  ASSERT_TRUE(sets.Add(1, std::move(pipe.read), std::nullopt));
  EXPECT_THAT(sets.Remove(1, 99999).error().message, HasSubstr("'fdset-id:1, fd:99999' not found"));
  EXPECT_TRUE(sets.Remove(1, fd));
  EXPECT_THAT(sets.Remove(1, std::nullopt).error().message, HasSubstr("'fdset-id:1' not found"));
  EXPECT_TRUE(sets.List().empty());
}

TEST(FdSets, ThePathNamesTheSet) {
  EXPECT_EQ(FdSetOf("/dev/fdset/17"), 17);
  for (const char* other :
       {"/dev/fdset/", "/dev/fdset/a", "/dev/fdset/1x", "/dev/fdset/-1", "/dev/fd/1", "fdset/1"}) {
    EXPECT_FALSE(FdSetOf(other).has_value()) << other;
  }
  const std::unique_ptr<Opener> opener = CreateInProcessOpener();
  EXPECT_EQ(opener->Open("/dev/fdset/5", O_RDONLY).error().message,
            "cannot open /dev/fdset/5: there is no descriptor set 5");
}

}  // namespace
}  // namespace nandu
