// The slow, obvious model of a disk: a flat buffer, to which random operations are done as to the image under
// test.
#pragma once

#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "block/qcow2/image.h"

namespace nandu::qcow2 {

struct Operation {
  enum class Kind : uint8_t { kWrite, kZeroKeep, kZeroUnmap, kDiscard, kFlush };
  Kind kind = Kind::kWrite;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

class DiskModel {
 public:
  DiskModel(uint64_t bytes, uint64_t seed) : content(bytes), random_(seed) {}

  uint64_t Below(uint64_t limit) { return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random_); }
  // Mostly small writes; now and then something large, or of another kind.
  Operation Next() {
    static constexpr Operation::Kind kKinds[] = {Operation::Kind::kZeroKeep, Operation::Kind::kZeroUnmap,
                                                 Operation::Kind::kDiscard, Operation::Kind::kFlush};
    const uint64_t sectors = content.size() / 512;
    const uint64_t kind = Below(12);
    const uint64_t first = Below(sectors);
    const uint64_t longest = std::min<uint64_t>(sectors - first, Below(5) == 0 ? 1500 : 40);
    return {kind < 4 ? kKinds[kind] : Operation::Kind::kWrite, first * 512, (1 + Below(longest)) * 512};
  }
  // Pieces of a pool, each from a place of its own: tests are not optimised, and a generator's every number
  // costs.
  std::vector<std::byte> RandomBytes(uint64_t bytes) {
    if (pool_.empty()) {
      pool_.resize(kPoolBytes);
      for (size_t i = 0; i < kPoolBytes; i += 8) {
        const uint64_t value = random_();
        std::memcpy(&pool_[i], &value, 8);
      }
    }
    std::vector<std::byte> data;
    data.reserve(bytes);
    while (data.size() < bytes) {
      const uint64_t piece = std::min<uint64_t>(bytes - data.size(), 4096);
      const auto from = pool_.begin() + static_cast<std::ptrdiff_t>(Below(kPoolBytes - piece));
      data.insert(data.end(), from, from + static_cast<std::ptrdiff_t>(piece));
    }
    return data;
  }
  // An operation with what the disk is to hold after it; `after` of a discard is what it holds at least where
  // it is zeroed.
  struct Planned {
    Operation operation;
    std::vector<std::byte> data;   // of a write
    std::vector<std::byte> after;  // the whole disk

    Result<> Do(Image& image) const {
      switch (operation.kind) {
        case Operation::Kind::kFlush: return image.Flush();
        case Operation::Kind::kZeroKeep:
          return image.WriteZeroes(operation.offset, operation.bytes, Unmap::kKeep);
        case Operation::Kind::kZeroUnmap:
          return image.WriteZeroes(operation.offset, operation.bytes, Unmap::kUnmap);
        case Operation::Kind::kDiscard: return image.Discard(operation.offset, operation.bytes);
        case Operation::Kind::kWrite: return image.Write(operation.offset, data);
      }
      return {};
    }
  };
  Planned Plan(const Operation& operation) {
    Planned planned{operation, {}, content};
    const auto begin = planned.after.begin() + static_cast<std::ptrdiff_t>(operation.offset);
    if (operation.kind == Operation::Kind::kWrite) {
      planned.data = RandomBytes(operation.bytes);
      std::copy(planned.data.begin(), planned.data.end(), begin);
    } else if (operation.kind != Operation::Kind::kFlush) {
      std::fill_n(begin, operation.bytes, std::byte{0});
    }
    return planned;
  }
  // Does it to both. After a discard the model takes over what the image shows, each byte of which has to be
  // the old one or zero.
  Result<> Do(Image& image, const Operation& operation) {
    Planned planned{operation, {}, {}};
    std::byte* const begin = content.data() + operation.offset;
    if (operation.kind == Operation::Kind::kWrite) {
      planned.data = RandomBytes(operation.bytes);
    }
    TRY(planned.Do(image));
    if (operation.kind == Operation::Kind::kWrite) {
      std::memcpy(begin, planned.data.data(), operation.bytes);
    } else if (operation.kind == Operation::Kind::kDiscard) {
      return Discarded(image, operation);
    } else if (operation.kind != Operation::Kind::kFlush) {
      std::memset(begin, 0, operation.bytes);
    }
    return {};
  }
  void ExpectSame(Image& image) const {
    std::vector<std::byte> all(content.size());
    const Result<> read = image.Read(0, all);
    ASSERT_TRUE(read) << read.error().message;
    if (std::memcmp(all.data(), content.data(), all.size()) == 0) {
      return;
    }
    const auto differs = std::mismatch(all.begin(), all.end(), content.begin());
    ASSERT_TRUE(differs.first == all.end()) << "the first wrong byte is " << differs.first - all.begin();
  }

  std::vector<std::byte> content;

 private:
  static constexpr size_t kPoolBytes = size_t{1} << 18;

  Result<> Discarded(Image& image, const Operation& operation) {
    std::vector<std::byte> now(operation.bytes);
    TRY(image.Read(operation.offset, now));
    std::byte* const begin = content.data() + operation.offset;
    constexpr size_t kSector = 512;
    static constexpr std::byte kZeroes[kSector] = {};
    for (size_t at = 0; at < now.size(); at += kSector) {
      if (std::memcmp(&now[at], begin + at, kSector) != 0 && std::memcmp(&now[at], kZeroes, kSector) != 0) {
        return Fail(Errc::kCorrupt, "sector {} reads as neither old nor zero after a discard",
                    (operation.offset + at) / kSector);
      }
    }
    std::memcpy(begin, now.data(), now.size());
    return {};
  }

  std::mt19937_64 random_;
  std::vector<std::byte> pool_;
};

inline void ExpectClean(Image& image, uint64_t leaks_allowed = 0) {
  const auto report = image.Check();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->corruptions, 0U) << report->first_problem;
  EXPECT_LE(report->leaks, leaks_allowed);
}

}  // namespace nandu::qcow2
