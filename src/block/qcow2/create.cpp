#include "block/qcow2/create.h"

#include <cstring>
#include <vector>

#include "block/qcow2/header.h"
#include "block/qcow2/table_cache.h"

namespace nandu::qcow2 {
namespace {

Result<> CheckOptions(const CreateOptions& options) {
  if (options.version != 2 && options.version != 3) {
    return Fail(Errc::kInvalidArgument, "qcow2 has versions 2 and 3");
  }
  const bool needs_3 = options.refcount_order != 4 || options.lazy_refcounts || options.extended_l2 ||
                       options.zstd || !options.data_file.empty();
  if (options.version == 2 && needs_3) {
    return Fail(
        Errc::kInvalidArgument,
        "version 2 has none of: refcounts of another width, lazy refcounts, extended L2, zstd, a data file");
  }
  if (options.cluster_bits < (options.extended_l2 ? 14 : kMinClusterBits) ||
      options.cluster_bits > kMaxClusterBits || options.refcount_order > 6) {
    return Fail(Errc::kInvalidArgument,
                "clusters have 2^9 to 2^21 bytes (2^14 with extended L2), refcounts 2^0 to 2^6 bits");
  }
  if (options.size_bytes % 512 != 0 || options.size_bytes > INT64_MAX) {
    return Fail(Errc::kInvalidArgument, "a disk's size is a multiple of 512 bytes");
  }
  if (options.backing_file.size() > kMaxBackingNameBytes || options.data_file.size() > kMaxBackingNameBytes) {
    return Fail(Errc::kInvalidArgument, "a file's name in an image has at most {} bytes",
                kMaxBackingNameBytes);
  }
  if (!options.backing_file.empty() && options.backing_format.empty()) {
    return Fail(Errc::kInvalidArgument, "the backing file's format is written into the image: raw or qcow2");
  }
  if (options.raw_data_file && (options.data_file.empty() || !options.backing_file.empty())) {
    return Fail(Errc::kInvalidArgument, "a raw data file needs a data file and excludes a backing file");
  }
  return {};
}

class HeaderWriter {
 public:
  void Add(const void* from, size_t bytes) {
    const auto* const begin = static_cast<const std::byte*>(from);
    bytes_.insert(bytes_.end(), begin, begin + bytes);
  }
  void AddExtension(uint32_t type, std::string_view text) {
    ExtensionWire wire{};
    wire.type = type;
    wire.length = static_cast<uint32_t>(text.size());
    Add(&wire, sizeof(wire));
    Add(text.data(), text.size());
    bytes_.resize(AlignUp(bytes_.size(), 8));
  }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace

// Cluster 0 is the header, 1 the refcount table, 2 the refcount block, then the L1 table.
Result<> Create(ImageFile& file, const CreateOptions& options) {
  TRY(CheckOptions(options));
  Header header;
  header.version = options.version;
  header.cluster_bits = options.cluster_bits;
  header.refcount_order = options.refcount_order;
  header.incompatible = (options.extended_l2 ? uint64_t{kExtendedL2} : 0) |
                        (options.zstd ? uint64_t{kCompressionType} : 0) |
                        (options.data_file.empty() ? 0 : uint64_t{kExternalData});
  const uint64_t cluster = header.cluster_bytes();
  const uint64_t l1_entries = header.l1_entries_for(options.size_bytes);
  const uint64_t l1_clusters = header.clusters_for(l1_entries * 8);
  if (l1_entries * 8 > kMaxL1Bytes) {
    return Fail(Errc::kInvalidArgument, "{} bytes are more than qcow2 can describe with clusters of {} bytes",
                options.size_bytes, cluster);
  }
  // The first block counts itself, header, table and L1 table; a large L1 table in small clusters needs more
  // of them.
  uint64_t blocks = 1;
  while (blocks * header.refcounts_per_block() < 2 + blocks + l1_clusters) {
    ++blocks;
  }
  const uint64_t table_clusters = header.clusters_for(blocks * 8);
  while (blocks * header.refcounts_per_block() < 1 + table_clusters + blocks + l1_clusters) {
    ++blocks;
  }
  const uint64_t first_block = 1 + table_clusters;
  const uint64_t l1_cluster = first_block + blocks;

  HeaderWire wire{};
  wire.magic = kMagic;
  wire.version = options.version;
  wire.cluster_bits = options.cluster_bits;
  wire.size = options.size_bytes;
  wire.l1_size = static_cast<uint32_t>(l1_entries);
  wire.l1_table_offset = l1_clusters == 0 ? 0 : l1_cluster << options.cluster_bits;
  wire.refcount_table_offset = cluster;
  wire.refcount_table_clusters = static_cast<uint32_t>(table_clusters);
  wire.incompatible_features = header.incompatible;
  wire.compatible_features = options.lazy_refcounts ? uint64_t{kLazyRefcounts} : 0;
  wire.autoclear_features = options.raw_data_file ? uint64_t{kRawExternalData} : 0;
  wire.refcount_order = options.refcount_order;
  wire.header_length = sizeof(wire);
  wire.compression_type = options.zstd ? 1 : 0;
  HeaderWriter out;
  out.Add(&wire, options.version == 2 ? kHeaderBytesV2 : sizeof(wire));
  if (!options.backing_file.empty()) {
    out.AddExtension(kExtensionBackingFormat, options.backing_format);
  }
  if (!options.data_file.empty()) {
    out.AddExtension(kExtensionDataFile, options.data_file);
  }
  out.AddExtension(kExtensionEnd, "");
  if (!options.backing_file.empty()) {
    wire.backing_file_offset = out.bytes().size();
    wire.backing_file_size = static_cast<uint32_t>(options.backing_file.size());
    std::memcpy(out.bytes().data(), &wire, kHeaderBytesV2);
    out.Add(options.backing_file.data(), options.backing_file.size());
  }
  if (out.bytes().size() > cluster) {
    return Fail(Errc::kInvalidArgument, "the files' names do not fit into a cluster of {} bytes", cluster);
  }
  out.bytes().resize(cluster);

  std::vector<std::byte> tables((l1_cluster + l1_clusters - 1) * cluster);
  for (uint64_t b = 0; b < blocks; ++b) {
    StoreBe64(tables.data() + b * 8, (first_block + b) << options.cluster_bits);
  }
  // Counts of one, in whatever width: bit 0 of the first in its byte, or the last byte of each.
  const unsigned bits = 1U << options.refcount_order;
  std::byte* const counts = tables.data() + (first_block - 1) * cluster;
  for (uint64_t i = 0; i < l1_cluster + l1_clusters; ++i) {
    const uint64_t bit = i * bits;
    counts[bits < 8 ? bit / 8 : bit / 8 + bits / 8 - 1] |= std::byte{1} << (bits < 8 ? bit % 8 : 0);
  }
  TRY(file.Write(cluster, tables));
  TRY(file.Flush());
  TRY(file.Write(0, out.bytes()));
  return file.Flush();
}

}  // namespace nandu::qcow2
