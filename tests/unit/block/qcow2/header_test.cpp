// What a damaged or hostile header is told.
#include "block/qcow2/header.h"

#include <gmock/gmock.h>

#include "block/qcow2/create.h"
#include "block/qcow2/image.h"
#include "support/fault_file.h"

namespace nandu::qcow2 {
namespace {

using testing::HasSubstr;

class Qcow2Header : public testing::Test {
 protected:
  void Make(const CreateOptions& options) { ASSERT_TRUE(Create(file_, options)); }
  template <class T>
  void Poke(size_t at, T value) {
    std::memcpy(file_.bytes.data() + at, &value, sizeof(value));
  }
  std::string Error() {
    const auto header = ReadHeader(file_);
    return header ? "ok" : header.error().message;
  }

  MemoryFile file_;
  CreateOptions options_{.size_bytes = 1 << 20, .backing_file = "", .backing_format = "", .data_file = ""};
};

TEST_F(Qcow2Header, IsReadAsItWasMade) {
  options_.backing_file = "../below.raw";
  options_.backing_format = "raw";
  options_.refcount_order = 3;
  Make(options_);

  const Header header = ReadHeader(file_).value();

  EXPECT_EQ(header.version, 3U);
  EXPECT_EQ(header.size_bytes, 1U << 20);
  EXPECT_EQ(header.cluster_bits, 16U);
  EXPECT_EQ(header.refcount_order, 3U);
  EXPECT_EQ(header.backing_file, "../below.raw");
  EXPECT_EQ(header.backing_format, "raw");
}

TEST_F(Qcow2Header, OtherFilesAreNoImages) {
  file_.bytes.resize(4096);
  EXPECT_THAT(Error(), HasSubstr("no qcow2 image"));
  file_.bytes.resize(10);
  EXPECT_THAT(Error(), HasSubstr("no qcow2 image"));
}

TEST_F(Qcow2Header, UnknownFeaturesAreNamed) {
  Make(options_);
  Poke(offsetof(HeaderWire, incompatible_features), big_uint64_t(uint64_t{1} << 20));
  EXPECT_THAT(Error(), HasSubstr("incompatible feature 20"));
  // The image's own table of names follows the header.
  Poke(sizeof(HeaderWire), big_uint32_t(kExtensionFeatureNames));
  Poke(sizeof(HeaderWire) + 4, big_uint32_t(sizeof(FeatureNameWire)));
  FeatureNameWire name{0, 20, {}};
  std::strcpy(name.name, "time\x1btravel");
  Poke(sizeof(HeaderWire) + 8, name);
  EXPECT_THAT(Error(), HasSubstr("'time?travel' (incompatible feature 20)"));
}

TEST_F(Qcow2Header, EverySizeIsBounded) {
  const std::vector<std::pair<std::string, std::function<void()>>> damages = {
      {"2^8 bytes", [&] { Poke(offsetof(HeaderWire, cluster_bits), big_uint32_t(8)); }},
      {"2^22 bytes", [&] { Poke(offsetof(HeaderWire, cluster_bits), big_uint32_t(22)); }},
      {"version 4", [&] { Poke(offsetof(HeaderWire, version), big_uint32_t(4)); }},
      {"an L1 table of", [&] { Poke(offsetof(HeaderWire, l1_size), big_uint32_t(UINT32_MAX)); }},
      {"too small", [&] { Poke(offsetof(HeaderWire, l1_size), big_uint32_t(0)); }},
      {"a disk of", [&] { Poke(offsetof(HeaderWire, size), big_uint64_t(UINT64_MAX)); }},
      {"L1 table at", [&] { Poke(offsetof(HeaderWire, l1_table_offset), big_uint64_t(12345)); }},
      {"L1 table at", [&] { Poke(offsetof(HeaderWire, l1_table_offset), big_uint64_t(uint64_t{1} << 63)); }},
      {"a refcount table of",
       [&] { Poke(offsetof(HeaderWire, refcount_table_clusters), big_uint32_t(UINT32_MAX)); }},
      {"refcount table at", [&] { Poke(offsetof(HeaderWire, refcount_table_offset), big_uint64_t(0)); }},
      {"snapshots", [&] { Poke(offsetof(HeaderWire, nb_snapshots), big_uint32_t(65537)); }},
      {"snapshot table at", [&] { Poke(offsetof(HeaderWire, nb_snapshots), big_uint32_t(1)); }},
      {"refcounts of 2^7", [&] { Poke(offsetof(HeaderWire, refcount_order), big_uint32_t(7)); }},
      {"a header of 4", [&] { Poke(offsetof(HeaderWire, header_length), big_uint32_t(4)); }},
      {"compression type 1", [&] { Poke(offsetof(HeaderWire, compression_type), uint8_t{1}); }},
      {"encrypted (LUKS)", [&] { Poke(offsetof(HeaderWire, crypt_method), big_uint32_t(2)); }},
      {"extended L2",
       [&] {
         Poke(offsetof(HeaderWire, cluster_bits), big_uint32_t(12));
         Poke(offsetof(HeaderWire, incompatible_features), big_uint64_t(kExtendedL2));
       }},
      {"raw external",
       [&] { Poke(offsetof(HeaderWire, autoclear_features), big_uint64_t(kRawExternalData)); }},
      {"backing file's name",
       [&] {
         Poke(offsetof(HeaderWire, backing_file_offset), big_uint64_t(UINT64_MAX - 3));
         Poke(offsetof(HeaderWire, backing_file_size), big_uint32_t(8));
       }},
      {"reaches past",
       [&] {
         Poke(sizeof(HeaderWire), big_uint32_t(0x1234));
         Poke(sizeof(HeaderWire) + 4, big_uint32_t(UINT32_MAX));
       }},
  };
  for (const auto& [sentence, damage] : damages) {
    file_.bytes.clear();
    Make(options_);
    damage();
    EXPECT_THAT(Error(), HasSubstr(sentence));
  }
}

TEST_F(Qcow2Header, ACorruptImageIsOnlyRead) {
  Make(options_);
  Poke(offsetof(HeaderWire, incompatible_features), big_uint64_t(kCorrupt));
  EXPECT_TRUE(Image::Open({.file = &file_}));
  const auto writable = Image::Open({.file = &file_, .writable = true});
  ASSERT_FALSE(writable);
  EXPECT_THAT(writable.error().message, HasSubstr("marked corrupt"));
}

TEST_F(Qcow2Header, UnknownAutoclearFeaturesAreClearedByTheFirstWrite) {
  Make(options_);
  Poke(offsetof(HeaderWire, autoclear_features), big_uint64_t(uint64_t{1} << 40));
  const auto image = Image::Open({.file = &file_, .writable = true}).value();
  EXPECT_EQ(ReadHeader(file_)->autoclear, uint64_t{1} << 40);

  ASSERT_TRUE(image->Write(0, std::vector<std::byte>(512, std::byte{1})));

  EXPECT_EQ(ReadHeader(file_)->autoclear, 0U);
}

// Refcounts that call a table's cluster free: the first allocation notices, says so in the header, and
// nothing is written.
TEST_F(Qcow2Header, AnOverlapMarksTheImageCorrupt) {
  Make(options_);
  const Header header = ReadHeader(file_).value();
  Poke(header.l1_offset - header.cluster_bytes(), std::array<std::byte, 16>{});  // all counts are 0
  const auto image = Image::Open({.file = &file_, .writable = true}).value();

  const Result<> written = image->Write(0, std::vector<std::byte>(512, std::byte{1}));

  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("holds metadata"));
  EXPECT_EQ(ReadHeader(file_)->incompatible & kCorrupt, uint64_t{kCorrupt});
  EXPECT_FALSE(image->Write(0, std::vector<std::byte>(512, std::byte{1})));
}

// A data cluster that is said to lie where the refcount table is.
TEST_F(Qcow2Header, DataOverMetadataIsNotWritten) {
  Make(options_);
  {
    const auto image = Image::Open({.file = &file_, .writable = true}).value();
    ASSERT_TRUE(image->Write(0, std::vector<std::byte>(512, std::byte{1})));
    ASSERT_TRUE(image->Close());
  }
  const Header header = ReadHeader(file_).value();
  const uint64_t table = LoadBe64(file_.bytes.data() + header.l1_offset) & kOffsetMask;
  StoreBe64(file_.bytes.data() + table, header.refcount_table_offset | kCopied);
  const auto image = Image::Open({.file = &file_, .writable = true}).value();
  const std::vector<std::byte> before = file_.bytes;

  const Result<> written = image->Write(512, std::vector<std::byte>(512, std::byte{2}));

  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("where metadata is"));
  EXPECT_EQ(ReadHeader(file_)->incompatible & kCorrupt, uint64_t{kCorrupt});
  EXPECT_TRUE(std::equal(before.begin() + 512, before.end(), file_.bytes.begin() + 512));
}

TEST_F(Qcow2Header, AnImageThatWasCutShortIsAnError) {
  Make(options_);
  const auto image = Image::Open({.file = &file_, .writable = true}).value();
  ASSERT_TRUE(image->Write(0, std::vector<std::byte>(512, std::byte{1})));
  ASSERT_TRUE(image->Close());
  const Extent data = image->Find(0, 512).value();
  file_.bytes.resize(data.host_offset);

  std::vector<std::byte> read(512);
  const Result<> result = image->Read(0, read);

  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("cut short"));
}

// A full disk: the write fails, the image stays whole, and the same write works once there is room.
TEST_F(Qcow2Header, AFullDiskLosesNothing) {
  Make(options_);
  const auto image = Image::Open({.file = &file_, .writable = true}).value();
  file_.write_error = ENOSPC;
  const std::vector<std::byte> data(100 * 1024, std::byte{7});
  for (int64_t after = 0; after < 6; ++after) {
    file_.fail_writes_after = after;
    static_cast<void>(image->Write(200 * 1024, data));
    static_cast<void>(image->Flush());
  }
  file_.fail_writes_after = -1;

  ASSERT_TRUE(image->Write(200 * 1024, data));
  ASSERT_TRUE(image->Close());

  std::vector<std::byte> read(data.size());
  ASSERT_TRUE(image->Read(200 * 1024, read));
  EXPECT_EQ(read, data);
  const CheckReport report = image->Check().value();
  EXPECT_EQ(report.corruptions, 0U) << report.first_problem;
}

}  // namespace
}  // namespace nandu::qcow2
