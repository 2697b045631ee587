// Making an empty qcow2 image: overlays for boots that leave the image alone, and images for tests.
#pragma once

#include <cstdint>
#include <string>

#include "block/qcow2/image_file.h"

namespace nandu::qcow2 {

struct CreateOptions {
  uint64_t size_bytes = 0;
  uint32_t version = 3;
  uint32_t cluster_bits = 16;
  uint32_t refcount_order = 4;
  bool lazy_refcounts = false;
  bool extended_l2 = false;
  bool zstd = false;  // of clusters that somebody compresses later
  std::string backing_file;
  std::string backing_format;  // "raw" or "qcow2"; a backing file needs it
  std::string data_file;       // not empty: guest data lies there
  bool raw_data_file = false;
};

// `file` is empty. On stable storage when it returns.
Result<> Create(ImageFile& file, const CreateOptions& options);

}  // namespace nandu::qcow2
