// While it lives this process may open no more than a few files: what opens one finds none left.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace nandu {

class FewFiles {
 public:
  FewFiles() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit few = before_;
    few.rlim_cur = 3;  // below whatever is open already
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  FewFiles(const FewFiles&) = delete;
  FewFiles& operator=(const FewFiles&) = delete;
  ~FewFiles() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

 private:
  rlimit before_{};
};

}  // namespace nandu
