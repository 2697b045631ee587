#include "state/state.h"

#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "state/document.h"

namespace nandu::testing {

struct SerialState {
  uint8_t ier = 0;
  uint16_t divisor = 12;
  std::vector<uint8_t> rx;
};
BOOST_DESCRIBE_STRUCT(SerialState, (), (ier, divisor, rx))
Result<> Validate(const SerialState& state) {
  if (state.rx.size() > 64) {
    return Fail(Errc::kCorrupt, "rx holds {} bytes, its FIFO 64", state.rx.size());
  }
  return {};
}

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::byte> Bytes(std::string_view text) {
  std::vector<std::byte> bytes;
  for (const char c : text) {
    bytes.push_back(static_cast<std::byte>(c));
  }
  return bytes;
}

// A document around a table written by hand.
std::vector<std::byte> WithTable(std::string_view table, std::string_view blobs = "") {
  std::string text = "nandust1";
  for (unsigned shift = 0; shift < 64; shift += 8) {
    text += static_cast<char>(table.size() >> shift & 0xff);
  }
  return Bytes(text.append(table).append(blobs));
}

std::string ParseRefusal(const std::vector<std::byte>& bytes, const StateLimits& limits = {}) {
  const Result<StateDocument> document = StateDocument::Parse(bytes, limits);
  EXPECT_FALSE(document.has_value());
  return document ? std::string() : document.error().message;
}

StateDocument Saved() {
  StateDocument document;
  const StateWriter writer(document, "/machine");
  writer.Child("serial0").Put(SerialState{3, 1, {'a', 'b'}}, 2);
  writer.Child("rtc").Put(SerialState{});
  writer.Child("rtc").PutBlob("cmos", Bytes("xyz"));
  writer.PutBlob("empty", {});
  return document;
}

TEST(State, SectionsAndBlobsAreReadBack) {
  const std::vector<std::byte> bytes = Saved().Serialize();
  const Result<StateDocument> document = StateDocument::Parse(bytes);
  ASSERT_TRUE(document.has_value()) << document.error().message;
  const StateReader reader(*document, "/machine");

  EXPECT_TRUE(Equal(*reader.Child("serial0").Get<SerialState>(2), SerialState{3, 1, {'a', 'b'}}));
  EXPECT_EQ(*reader.Child("rtc").GetBlob("cmos", 3), Bytes("xyz"));
  EXPECT_EQ(*reader.GetBlob("empty", 0), Bytes(""));
  EXPECT_TRUE(reader.Child("rtc").Has());
  EXPECT_FALSE(reader.Has());
}

TEST(State, SaveLoadSaveGivesEqualBytes) {
  const std::vector<std::byte> bytes = Saved().Serialize();
  EXPECT_EQ(StateDocument::Parse(bytes)->Serialize(), bytes);
}

TEST(State, OrderOfWritingDoesNotMatter) {
  StateDocument document;
  StateWriter(document, "/machine").PutBlob("empty", {});
  StateWriter(document, "/machine/rtc").PutBlob("cmos", Bytes("xyz"));
  StateWriter(document, "/machine/rtc").Put(SerialState{});
  StateWriter(document, "/machine/serial0").Put(SerialState{3, 1, {'a', 'b'}}, 2);
  EXPECT_EQ(document.Serialize(), Saved().Serialize());
}

TEST(State, WhatNobodyReadIsNamed) {
  const StateDocument document = Saved();
  EXPECT_TRUE(StateReader(document, "/machine/rtc").Get<SerialState>().has_value());
  EXPECT_THAT(document.Unread(), ElementsAre("/machine/serial0", "/machine/empty", "/machine/rtc/cmos"));
}

TEST(State, NewerVersionIsRefused) {
  const StateDocument document = Saved();
  EXPECT_EQ(StateReader(document, "/machine/serial0").Get<SerialState>(1).error().message,
            "/machine/serial0: its version 2 is newer than 1, the newest this nandu reads");
}

TEST(State, AbsentSectionAndBlobAreNamed) {
  const StateDocument document;
  EXPECT_EQ(StateReader(document, "/x").Get<SerialState>().error().message,
            "/x: the saved state has no such section");
  EXPECT_EQ(StateReader(document, "/x").GetBlob("b", 9).error().message,
            "/x/b: the saved state has no such blob");
}

TEST(State, HostileSectionsAreRefusedWithTheirPath) {
  const StateDocument document =
      *StateDocument::Parse(WithTable(R"({"sections": [{"id": "/a", "version": 1, "state": {"ier": 256}},
                                 {"id": "/b", "version": 1, "state": {"lsr": 1}},
                                 {"id": "/c", "version": 0, "state": {}}], "blobs": []})"));
  EXPECT_EQ(StateReader(document, "/a").Get<SerialState>().error().message,
            "/a.ier: must lie between 0 and 255");
  EXPECT_THAT(StateReader(document, "/b").Get<SerialState>().error().message,
              HasSubstr("/b: unknown field 'lsr'"));
  EXPECT_FALSE(StateReader(document, "/c").Get<SerialState>().has_value());
}

TEST(State, ValidateRefusesWhatTheHardwareCannotHold) {
  StateDocument document;
  StateWriter(document, "/s").Put(SerialState{0, 0, std::vector<uint8_t>(65)});
  EXPECT_EQ(StateReader(document, "/s").Get<SerialState>().error().message,
            "/s: rx holds 65 bytes, its FIFO 64");
}

TEST(State, BlobLargerThanItsBoundIsRefused) {
  const StateDocument document = Saved();
  EXPECT_EQ(StateReader(document, "/machine/rtc").GetBlob("cmos", 2).error().message,
            "/machine/rtc/cmos: 3 bytes are more than the 2 it may have");
}

TEST(StateParse, EveryTruncationIsRefused) {
  const std::vector<std::byte> bytes = Saved().Serialize();
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(StateDocument::Parse(std::span(bytes).first(length)).has_value()) << length;
  }
}

TEST(StateParse, StrangeBytesAreRefused) {
  EXPECT_EQ(ParseRefusal(Bytes("QEVM 1234567890123456")), "this is no saved state of nandu");
  EXPECT_EQ(ParseRefusal(Bytes("nandust1\xff\xff\xff\xff\xff\xff\xff\xff{}")),
            "saved state: cut off inside its table");
  EXPECT_EQ(ParseRefusal(WithTable(R"({"sections": [], "blobs": []})", "x")),
            "saved state: 1 bytes follow the last blob");
  EXPECT_EQ(
      ParseRefusal(WithTable(R"({"sections": [], "blobs": [{"id": "/a", "bytes": 18446744073709551615}]})")),
      "saved state: cut off inside blob '/a'");
  EXPECT_THAT(ParseRefusal(WithTable(R"({"sections": []})")), HasSubstr("'blobs' is missing"));
}

TEST(StateParse, IdsAreValidAndAscend) {
  EXPECT_THAT(
      ParseRefusal(WithTable(R"({"sections": [{"id": "a", "version": 1, "state": 0}], "blobs": []})")),
      HasSubstr("'a' is no id"));
  EXPECT_THAT(ParseRefusal(WithTable(R"({"sections": [{"id": "/b", "version": 1, "state": 0},
                                                      {"id": "/b", "version": 1, "state": 0}], "blobs": []})")),
              HasSubstr("ids must ascend"));
}

TEST(StateParse, LimitsHold) {
  const std::vector<std::byte> bytes = Saved().Serialize();
  EXPECT_THAT(ParseRefusal(bytes, {.max_table_bytes = 10}), HasSubstr("longer than 10"));
  EXPECT_THAT(ParseRefusal(bytes, {.max_values = 3}), HasSubstr("too many values"));
  EXPECT_THAT(ParseRefusal(bytes, {.max_ids = 1}), HasSubstr("more than 1 sections"));
}

}  // namespace
}  // namespace nandu::testing
