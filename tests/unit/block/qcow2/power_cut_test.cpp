// Power cuts: after every write of a long random workload the disk is imagined as a cut would leave it, with
// any part of what was written since the last flush. Each such image opens, has no corruption (clusters may
// be lost), and holds in every sector what was there at the guest's last flush or what was written since.
#include <set>

#include "block/qcow2/create.h"
#include "support/fault_file.h"
#include "unit/block/qcow2/disk_model.h"

namespace nandu::qcow2 {
namespace {

struct Workload {
  std::string name;
  CreateOptions create;
  uint64_t backing_bytes = 0;
  bool tiny_caches = false;
};
void PrintTo(const Workload& each, std::ostream* out) { *out << each.name; }

// Every content that a sector may have after a cut.
class Possible {
 public:
  explicit Possible(const std::vector<std::byte>& content) : flushed_(content) {}
  void Changed(const std::vector<std::byte>& content, uint64_t offset, uint64_t bytes) {
    for (uint64_t sector = offset / 512; sector < (offset + bytes) / 512; ++sector) {
      const auto begin = content.begin() + static_cast<std::ptrdiff_t>(sector * 512);
      since_[sector].emplace_back(begin, begin + 512);
    }
  }
  void Flushed(const std::vector<std::byte>& content) {
    flushed_ = content;
    since_.clear();
  }
  // The first sector that cannot be; -1: all can.
  int64_t FirstWrong(const std::vector<std::byte>& disk) const {
    for (uint64_t sector = 0; sector < disk.size() / 512; ++sector) {
      const auto is = [&](const std::byte* content) {
        return std::memcmp(content, disk.data() + sector * 512, 512) == 0;
      };
      const auto since = since_.find(sector);
      const bool known =
          is(flushed_.data() + sector * 512) ||
          (since != since_.end() && std::any_of(since->second.begin(), since->second.end(),
                                                [&](const auto& each) { return is(each.data()); }));
      if (!known) {
        return static_cast<int64_t>(sector);
      }
    }
    return -1;
  }

 private:
  std::vector<std::byte> flushed_;
  std::map<uint64_t, std::vector<std::vector<std::byte>>> since_;
};

class Qcow2PowerCut : public testing::TestWithParam<Workload> {
 protected:
  Qcow2PowerCut() : model_(GetParam().create.size_bytes, 99), random_(7) {
    CreateOptions create = GetParam().create;
    backing_.bytes = model_.RandomBytes(GetParam().backing_bytes);
    if (!backing_.bytes.empty()) {
      create.backing_file = "below";
      create.backing_format = "raw";
    }
    MemoryFile fresh;
    EXPECT_TRUE(Create(fresh, create));
    file_ = std::make_unique<PowerCutFile>(fresh.bytes);
    std::copy_n(backing_.bytes.begin(), std::min(backing_.bytes.size(), model_.content.size()),
                model_.content.begin());
  }
  std::unique_ptr<Image> Open(ImageFile& file, bool writable) {
    OpenOptions options;
    options.file = &file;
    options.writable = writable;
    options.backing = backing_.bytes.empty() ? nullptr : &backing_;
    options.discard_freed = true;
    if (GetParam().tiny_caches) {
      options.l2_cache_bytes = 1;
      options.l2_slice_bytes = 512;
      options.refcount_cache_bytes = 1;
    }
    auto opened = Image::Open(options);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  void CheckDisk(std::vector<std::byte> disk, const Possible& possible) {
    MemoryFile file(std::move(disk));
    // Lazy refcounts are counted anew by who opens the image to write.
    const std::unique_ptr<Image> image = Open(file, GetParam().create.lazy_refcounts);
    ASSERT_NE(image, nullptr);
    const auto report = image->Check();
    ASSERT_TRUE(report) << report.error().message;
    ASSERT_EQ(report->corruptions, 0U) << report->first_problem;
    std::vector<std::byte> all(model_.content.size());
    const Result<> read = image->Read(0, all);
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(possible.FirstWrong(all), -1) << "the first sector that holds what nobody wrote there";
    ++cuts_;
  }

  DiskModel model_;
  std::mt19937 random_;
  MemoryFile backing_;
  std::unique_ptr<PowerCutFile> file_;
  int cuts_ = 0;
};

TEST_P(Qcow2PowerCut, LeavesNoCorruption) {
  const int operations = std::getenv("NANDU_CUTS") != nullptr ? std::atoi(std::getenv("NANDU_CUTS")) : 60;
  std::unique_ptr<Image> image = Open(*file_, true);
  ASSERT_NE(image, nullptr);
  Possible possible(model_.content);
  // A cut between any two writes of an operation; what the operation writes is possible from its start.
  file_->on_write = [&] {
    if (!HasFatalFailure()) {
      CheckDisk(file_->Cut(random_), possible);
    }
  };
  for (int i = 0; i < operations; ++i) {
    const Operation next = model_.Next();
    DiskModel::Planned planned = model_.Plan(next);
    if (next.kind != Operation::Kind::kFlush) {
      possible.Changed(planned.after, next.offset, next.bytes);
    }
    const Result<> done = planned.Do(*image);
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_NO_FATAL_FAILURE(CheckDisk(file_->Kill(), possible));
    if (next.kind == Operation::Kind::kDiscard) {
      ASSERT_TRUE(image->Read(0, model_.content));
    } else {
      model_.content = planned.after;
    }
    if (next.kind == Operation::Kind::kFlush) {
      possible.Flushed(model_.content);
      ASSERT_NO_FATAL_FAILURE(CheckDisk(file_->Cut(random_), possible));
    }
    ASSERT_FALSE(HasFatalFailure());
  }
  ASSERT_TRUE(image->Close());
  possible.Flushed(model_.content);
  ASSERT_NO_FATAL_FAILURE(CheckDisk(file_->Cut(random_), possible));
  RecordProperty("cuts", cuts_);
  std::cout << cuts_ << " cuts\n";
}

Workload Make(const std::string& name, const std::function<void(Workload&)>& change) {
  Workload made;
  made.name = name;
  made.create.size_bytes = 1 << 20;
  made.create.cluster_bits = 12;
  change(made);
  return made;
}

INSTANTIATE_TEST_SUITE_P(Features, Qcow2PowerCut,
                         testing::Values(Make("Default", [](Workload&) {}),
                                         Make("Backing", [](Workload& w) { w.backing_bytes = 700 * 1024; }),
                                         Make("SmallestClusters",
                                              [](Workload& w) { w.create.cluster_bits = 9; }),
                                         Make("TinyCaches",
                                              [](Workload& w) {
                                                w.create.cluster_bits = 9;
                                                w.tiny_caches = true;
                                              }),
                                         Make("Version2",
                                              [](Workload& w) {
                                                w.create.version = 2;
                                                w.backing_bytes = 300 * 1024;
                                              }),
                                         Make("ExtendedL2",
                                              [](Workload& w) {
                                                w.create.cluster_bits = 14;
                                                w.create.extended_l2 = true;
                                                w.backing_bytes = 300 * 1024;
                                              }),
                                         Make("Lazy", [](Workload& w) { w.create.lazy_refcounts = true; })),
                         [](const testing::TestParamInfo<Workload>& each) { return each.param.name; });

}  // namespace
}  // namespace nandu::qcow2
