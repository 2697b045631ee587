#include "machine/loader_device.h"

#include <gtest/gtest.h>

namespace nandu {
namespace {

std::string Refusal(const LoaderOptions& options) {
  const Result<> result = Validate(options);
  return result ? "" : result.error().message;
}

TEST(LoaderOptions, WhatQemuTakesIsTaken) {
  EXPECT_EQ(Refusal({.addr = 0x1000, .data = 1, .data_len = 8}), "");
  EXPECT_EQ(Refusal({.data_len = 1}), "");  // a zero at 0
  EXPECT_EQ(Refusal({.addr = 0x1000, .data_len = 4, .data_be = true, .cpu_num = 0}), "");
  EXPECT_EQ(Refusal({.addr = 0x1000, .cpu_num = 0}), "");
  EXPECT_EQ(Refusal({.file = "f"}), "");
  EXPECT_EQ(Refusal({.addr = 0x1000, .cpu_num = 1, .file = "f", .force_raw = true}), "");
}

TEST(LoaderOptions, WhatMakesNoSenseIsASentence) {
  EXPECT_EQ(Refusal({}),
            "give file=, or data= with data-len=, or addr= with cpu-num= to say where a vCPU starts");
  EXPECT_EQ(Refusal({.cpu_num = 0}), Refusal({}));
  EXPECT_EQ(Refusal({.addr = 1}), "addr= alone says where a vCPU starts: add cpu-num=, or file= or data=");
  EXPECT_EQ(Refusal({.data = 1}), "a value needs its size: data-len= from 1 to 8 bytes");
  EXPECT_EQ(Refusal({.data_len = 9}), Refusal({.data = 1}));
  EXPECT_EQ(Refusal({.data_be = true}), Refusal({.data = 1}));
  EXPECT_EQ(Refusal({.data_len = 1, .file = "f"}),
            "data= and file= are two things to load; add a second loader for one of them");
  EXPECT_EQ(Refusal({.data_len = 1, .force_raw = true}), Refusal({.data_len = 1, .file = "f"}));
  EXPECT_EQ(Refusal({.force_raw = true}), "force-raw= belongs to a file: give it with file=");
}

}  // namespace
}  // namespace nandu
