#include "base/spare_eventfd.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "support/few_files.h"

namespace nandu {
namespace {

TEST(SpareEventFd, IsAnEventFd) {
  const UniqueFd fd = TakeSpareEventFd();
  ASSERT_TRUE(fd);
  eventfd_t value = 0;
  EXPECT_EQ(::eventfd_write(fd.get(), 7), 0);
  EXPECT_EQ(::eventfd_read(fd.get(), &value), 0);
  EXPECT_EQ(value, 7U);
  EXPECT_NE(::eventfd_read(fd.get(), &value), 0) << "it does not block";
}

TEST(SpareEventFd, ThereIsNoneWhereNoFileCanBeOpened) {
  const FewFiles few;
  EXPECT_FALSE(TakeSpareEventFd());
}

TEST(SpareEventFd, TheLastFilesAreLeftToOthers) {
  const int next = TakeSpareEventFd().get();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit limit = before;
  limit.rlim_cur = static_cast<rlim_t>(next) + kKeptFiles + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  {
    const UniqueFd last = TakeSpareEventFd();
    EXPECT_EQ(last.get(), next);
    EXPECT_FALSE(TakeSpareEventFd());
    EXPECT_TRUE(UniqueFd(::eventfd(0, EFD_CLOEXEC))) << "who cannot do without one gets it";
  }
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace nandu
