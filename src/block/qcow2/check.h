// Checking an image: every reference to a host cluster is counted, and compared with its refcount. Memory
// follows what is referenced, not what a table claims.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "block/qcow2/image.h"

namespace nandu::qcow2 {

class Checker {
 public:
  explicit Checker(Image& image) : image_(image), header_(image.header_) {}
  Result<CheckReport> Run(Image::Repair repair);

 private:
  static constexpr uint64_t kGroup = 1024;  // clusters counted in one piece of memory

  void Count(uint64_t offset, uint64_t bytes, const char* what);
  uint32_t References(uint64_t cluster) const;
  Result<> CountL1(const std::vector<uint64_t>& l1, uint64_t offset, bool active);
  Result<> CountL2(uint64_t table, bool active);
  Result<> CountBitmaps();
  Result<> CompareAll(Image::Repair repair);
  Result<> CompareActive();
  template <class... Args>
  void Problem(fmt::format_string<Args...> text, const Args&... args) {
    ++report_.corruptions;
    if (report_.first_problem.empty()) {
      report_.first_problem = Format(text, args...);
    }
  }

  Image& image_;
  const Header& header_;
  CheckReport report_;
  uint64_t end_ = 0;  // of the file, clusters
  std::unordered_map<uint64_t, std::unique_ptr<std::array<uint32_t, kGroup>>> references_;
};

}  // namespace nandu::qcow2
