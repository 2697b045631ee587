// Random operations against a flat buffer: whatever the image's features, what is read is what was written,
// the checker finds nothing wrong, and a second opening agrees.
#include "block/qcow2/create.h"
#include "support/fault_file.h"
#include "unit/block/qcow2/disk_model.h"

namespace nandu::qcow2 {
namespace {

constexpr uint64_t kMiB = 1 << 20;

struct Case {
  std::string name;
  CreateOptions create;
  OpenOptions open;
  uint64_t backing_bytes = 0;
};
void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }

class Qcow2Model : public testing::TestWithParam<Case> {
 protected:
  Qcow2Model() : model_(GetParam().create.size_bytes, 4711) {
    CreateOptions create = GetParam().create;
    backing_.bytes = model_.RandomBytes(GetParam().backing_bytes);
    if (!backing_.bytes.empty()) {
      create.backing_file = "below";
      create.backing_format = "raw";
    }
    const Result<> made = Create(file_, create);
    EXPECT_TRUE(made) << made.error().message;
    const auto below = std::min(backing_.bytes.size(), model_.content.size());
    std::copy_n(backing_.bytes.begin(), below, model_.content.begin());
    Open();
  }

  void Open() {
    OpenOptions options = GetParam().open;
    options.file = &file_;
    options.writable = true;
    options.discard_freed = true;
    options.backing = backing_.bytes.empty() ? nullptr : &backing_;
    options.data_file = GetParam().create.data_file.empty() ? nullptr : &data_;
    auto opened = Image::Open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    image_ = std::move(*opened);
  }
  void Run(int operations) {
    for (int i = 0; i < operations; ++i) {
      const Operation next = model_.Next();
      const Result<> done = model_.Do(*image_, next);
      ASSERT_TRUE(done) << done.error().message;
      std::vector<std::byte> got(next.bytes);
      ASSERT_TRUE(image_->Read(next.offset, got));
      ASSERT_EQ(std::memcmp(got.data(), model_.content.data() + next.offset, next.bytes), 0)
          << "operation " << i << " of kind " << static_cast<int>(next.kind) << " at " << next.offset << "+"
          << next.bytes;
    }
  }
  void Reopen() {
    const Result<> closed = image_->Close();
    ASSERT_TRUE(closed) << closed.error().message;
    image_.reset();
    Open();
  }

  DiskModel model_;
  MemoryFile backing_;
  MemoryFile data_;
  MemoryFile file_;
  std::unique_ptr<Image> image_;
};

TEST_P(Qcow2Model, AgreesWithAFlatBuffer) {
  for (int round = 0; round < 4; ++round) {
    ASSERT_NO_FATAL_FAILURE(Run(150));
    ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
    ASSERT_NO_FATAL_FAILURE(Reopen());
    ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
    ExpectClean(*image_);
  }
}

TEST_P(Qcow2Model, GrowsAndShrinks) {
  const uint64_t sizes[] = {model_.content.size() + 5 * kMiB + 512, model_.content.size() - 700 * 512,
                            model_.content.size() / 3 / 512 * 512, 2 * model_.content.size()};
  for (const uint64_t size : sizes) {
    ASSERT_NO_FATAL_FAILURE(Run(40));
    const Result<> resized = image_->Resize(size);
    ASSERT_TRUE(resized) << resized.error().message;
    model_.content.resize(size);
    ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
    ASSERT_NO_FATAL_FAILURE(Run(40));
    ASSERT_NO_FATAL_FAILURE(Reopen());
    ASSERT_EQ(image_->size(), size);
    ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
    ExpectClean(*image_);
  }
}

TEST_P(Qcow2Model, SnapshotsKeepWhatTheDiskWas) {
  if (!GetParam().create.data_file.empty() || GetParam().create.refcount_order == 0) {
    ASSERT_NO_FATAL_FAILURE(Run(20));
    EXPECT_FALSE(image_->CreateSnapshot("one", 1, 2));  // no internal snapshots, or no second reference
    ASSERT_NO_FATAL_FAILURE(Run(20));
    ASSERT_NO_FATAL_FAILURE(Reopen());
    ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
    ExpectClean(*image_);
    return;
  }
  std::vector<std::vector<std::byte>> kept;
  for (const char* name : {"one", "two", "three"}) {
    ASSERT_NO_FATAL_FAILURE(Run(60));
    const Result<> made = image_->CreateSnapshot(name, 1, 2);
    ASSERT_TRUE(made) << made.error().message;
    kept.push_back(model_.content);
    ExpectClean(*image_);
  }
  ASSERT_NO_FATAL_FAILURE(Run(60));
  ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
  ASSERT_NO_FATAL_FAILURE(Reopen());
  ASSERT_EQ(image_->snapshots().size(), 3U);

  ASSERT_TRUE(image_->DeleteSnapshot("two"));
  ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
  ExpectClean(*image_);
  ASSERT_FALSE(image_->ApplySnapshot("two"));
  for (const size_t index : {size_t{0}, size_t{2}}) {
    const Result<> applied = image_->ApplySnapshot(index == 0 ? "one" : "three");
    ASSERT_TRUE(applied) << applied.error().message;
    model_.content = kept[index];
    ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
    ExpectClean(*image_);
    ASSERT_NO_FATAL_FAILURE(Run(60));
    ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
  }
  ASSERT_TRUE(image_->DeleteSnapshot("1"));
  ASSERT_TRUE(image_->DeleteSnapshot("three"));
  ASSERT_NO_FATAL_FAILURE(Reopen());
  ASSERT_NO_FATAL_FAILURE(model_.ExpectSame(*image_));
  ExpectClean(*image_);
}

Case Make(const std::string& name, const std::function<void(Case&)>& change) {
  Case made;
  made.name = name;
  made.create.size_bytes = 6 * kMiB + 7 * 512;
  change(made);
  return made;
}

INSTANTIATE_TEST_SUITE_P(
    Features, Qcow2Model,
    testing::Values(Make("Default", [](Case&) {}), Make("Version2", [](Case& c) { c.create.version = 2; }),
                    Make("Version2Backing",
                         [](Case& c) {
                           c.create.version = 2;
                           c.backing_bytes = 3 * kMiB + 512;
                         }),
                    Make("SmallestClusters", [](Case& c) { c.create.cluster_bits = 9; }),
                    Make("SmallestClustersAndCaches",
                         [](Case& c) {
                           c.create.cluster_bits = 9;
                           c.open.l2_cache_bytes = 1;
                           c.open.l2_slice_bytes = 512;
                           c.open.refcount_cache_bytes = 1;
                         }),
                    Make("LargestClusters", [](Case& c) { c.create.cluster_bits = 21; }),
                    Make("ShortBacking", [](Case& c) { c.backing_bytes = 2 * kMiB + 512; }),
                    Make("LongBacking", [](Case& c) { c.backing_bytes = 9 * kMiB; }),
                    Make("Refcounts1", [](Case& c) { c.create.refcount_order = 0; }),
                    Make("Refcounts4Bits",
                         [](Case& c) {
                           c.create.refcount_order = 2;
                           c.create.cluster_bits = 12;
                         }),
                    Make("Refcounts64",
                         [](Case& c) {
                           c.create.refcount_order = 6;
                           c.create.cluster_bits = 9;
                         }),
                    Make("Lazy", [](Case& c) { c.create.lazy_refcounts = true; }),
                    Make("ExtendedL2", [](Case& c) { c.create.extended_l2 = true; }),
                    Make("ExtendedL2Backing",
                         [](Case& c) {
                           c.create.extended_l2 = true;
                           c.create.cluster_bits = 14;
                           c.backing_bytes = 4 * kMiB + 1024;
                         }),
                    Make("DataFile", [](Case& c) { c.create.data_file = "data"; }),
                    Make("DataFileBacking",
                         [](Case& c) {
                           c.create.data_file = "data";
                           c.backing_bytes = 4 * kMiB;
                         }),
                    Make("DataFileExtendedL2",
                         [](Case& c) {
                           c.create.data_file = "data";
                           c.create.extended_l2 = true;
                         }),
                    Make("RawDataFile",
                         [](Case& c) {
                           c.create.data_file = "data";
                           c.create.raw_data_file = true;
                         })),
    [](const testing::TestParamInfo<Case>& each) { return each.param.name; });

}  // namespace
}  // namespace nandu::qcow2
