#include "base/base64.h"

#include <gtest/gtest.h>

namespace nandu::testing {
namespace {

std::string Encode(std::string_view text) { return EncodeBase64(std::as_bytes(std::span(text))); }
std::string Decode(std::string_view text) {
  const std::optional<std::vector<std::byte>> bytes = DecodeBase64(text);
  return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : "refused";
}

// RFC 4648, section 10.
TEST(Base64, VectorsOfTheRfc) {
  EXPECT_EQ(Encode(""), "");
  EXPECT_EQ(Encode("f"), "Zg==");
  EXPECT_EQ(Encode("fo"), "Zm8=");
  EXPECT_EQ(Encode("foo"), "Zm9v");
  EXPECT_EQ(Encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Decode("Zg=="), "f");
  EXPECT_EQ(Decode("Zm8="), "fo");
  EXPECT_EQ(Decode("Zm9vYmFy"), "foobar");
  EXPECT_EQ(Encode("\xff\xef\xbe"), "/+++");
}

TEST(Base64, OnlyOneTextPerValueIsTaken) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm 9v", "Zm9v\n",
                           "Zm9v====", "Zg==Zg==", "Zm-_"}) {
    EXPECT_EQ(Decode(text), "refused") << text;
  }
}

}  // namespace
}  // namespace nandu::testing
