#include "cli/keyval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/property_list.h"
#include "cli/numbers.h"

namespace nandu {
namespace {

using testing::HasSubstr;

std::string Bag(std::string_view text, std::string_view implied, Nesting nesting) {
  const auto bag = ParseOptionBag(text, implied, nesting);
  return bag ? JsonText(*bag) : bag.error().message;
}

TEST(KeyValues, FirstWordTakesTheImpliedKey) {
  EXPECT_EQ(Bag("virtio-blk-pci,drive=d0", "driver", Nesting::kFlat),
            R"({"driver": "virtio-blk-pci", "drive": "d0"})");
}

TEST(KeyValues, DoubledCommaIsAComma) {
  EXPECT_EQ(Bag("file=a,,b.raw,if=none", {}, Nesting::kFlat), R"({"file": "a,b.raw", "if": "none"})");
}

TEST(KeyValues, BareWordsAreSwitches) {
  EXPECT_EQ(Bag("socket,id=m,server,nowait", "backend", Nesting::kFlat),
            R"({"backend": "socket", "id": "m", "server": "on", "wait": "off"})");
}

TEST(KeyValues, LaterKeysReplaceEarlierOnes) {
  EXPECT_EQ(Bag("a=1,a=2", {}, Nesting::kFlat), R"({"a": "2"})");
}

TEST(KeyValues, DotsNest) {
  EXPECT_EQ(Bag("driver=raw,file.driver=file,file.filename=x", {}, Nesting::kDotted),
            R"({"driver": "raw", "file": {"driver": "file", "filename": "x"}})");
}

TEST(KeyValues, ValueAndGroupOfOneNameAreRefused) {
  EXPECT_THAT(Bag("file=a,file.driver=b", {}, Nesting::kDotted), HasSubstr("both as a value and as a group"));
}

TEST(KeyValues, JsonKeepsItsTypes) {
  EXPECT_EQ(Bag(R"({"driver":"file","read-only":true})", "driver", Nesting::kDotted),
            R"({"driver": "file", "read-only": true})");
}

TEST(KeyValues, EmptyWordIsRefused) {
  EXPECT_THAT(Bag("a=1,=2", {}, Nesting::kFlat), HasSubstr("empty word"));
}

TEST(PropertyList, UnknownPropertyNamesTheNearest) {
  auto list = PropertyList::Parse("q35,kernel_irqchp=on", "type");
  ASSERT_TRUE(list.has_value());
  list->Take("type");
  list->Take("kernel-irqchip");
  const auto finished = list->Finish();
  ASSERT_FALSE(finished.has_value());
  EXPECT_EQ(finished.error().message, "unknown property 'kernel_irqchp' (did you mean 'kernel-irqchip'?)");
}

TEST(PropertyList, UnderscoreAndDashAreTheSame) {
  auto list = PropertyList::Parse("kernel_irqchip=on", {});
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->Take("kernel-irqchip"), "on");
  EXPECT_TRUE(list->Finish().has_value());
}

TEST(Sizes, SuffixesAndFractions) {
  EXPECT_EQ(SizeFrom("512").value(), 512U);
  EXPECT_EQ(SizeFrom("4k").value(), 4096U);
  EXPECT_EQ(SizeFrom("1.5G").value(), 1536ULL << 20);
  EXPECT_EQ(SizeFrom("256", uint64_t{1} << 20).value(), 256ULL << 20);
}

TEST(Sizes, GarbageAndOverflowAreRefused) {
  for (const char* text : {"", "G", "x1", "1x", "1.5.2G", "-1", "99999999999999999999", "9999999E"}) {
    EXPECT_FALSE(SizeFrom(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace nandu
