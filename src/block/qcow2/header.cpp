#include "block/qcow2/header.h"

#include <cstring>
#include <vector>

namespace nandu::qcow2 {
namespace {

Result<> Corrupt(std::string_view what) {
  return Fail(Errc::kCorrupt, "its qcow2 header is damaged: {}", what);
}

// The image's own name for a feature, where it brings one.
std::string FeatureName(std::span<const std::byte> table, unsigned bit) {
  for (size_t at = 0; at + sizeof(FeatureNameWire) <= table.size(); at += sizeof(FeatureNameWire)) {
    FeatureNameWire entry;
    std::memcpy(&entry, table.data() + at, sizeof(entry));
    if (entry.type == 0 && entry.bit == bit) {
      std::string name(entry.name, ::strnlen(entry.name, sizeof(entry.name)));
      // It is somebody's text, and goes to a terminal.
      for (char& c : name) {
        c = c >= ' ' && c < 0x7f ? c : '?';
      }
      return Format("'{}' (incompatible feature {})", name, bit);
    }
  }
  return Format("incompatible feature {}", bit);
}

Result<> CheckFeatures(const Header& header, std::span<const std::byte> feature_names) {
  std::string unknown;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((header.incompatible & ~uint64_t{kKnownIncompatible} & uint64_t{1} << bit) != 0) {
      unknown += (unknown.empty() ? "" : ", ") + FeatureName(feature_names, bit);
    }
  }
  if (!unknown.empty()) {
    return Fail(Errc::kUnsupported, "the image needs what nandu does not know: {}", unknown);
  }
  if (header.raw_external_data() && !header.external_data()) {
    return Corrupt("a raw external data file without an external data file");
  }
  return {};
}

Result<> CheckTables(const Header& header, uint64_t file_bytes) {
  const uint64_t cluster = header.cluster_bytes();
  const uint64_t in_cluster = cluster - 1;
  const auto within = [&](uint64_t offset, uint64_t bytes) {
    uint64_t end = 0;
    return (offset & in_cluster) == 0 && !AddOverflows(offset, bytes, &end) &&
           end <= AlignUp(file_bytes, 512);
  };
  const uint64_t l1_bytes = uint64_t{header.l1_entries} * 8;
  if (l1_bytes > kMaxL1Bytes) {
    return Corrupt(Format("an L1 table of {} bytes; at most {} are possible", l1_bytes, kMaxL1Bytes));
  }
  if (header.l1_entries < header.l1_entries_for(header.size_bytes)) {
    return Corrupt(Format("an L1 table of {} entries is too small for a disk of {} bytes", header.l1_entries,
                          header.size_bytes));
  }
  if (!within(header.l1_offset, l1_bytes) || (header.l1_offset == 0 && l1_bytes != 0)) {
    return Corrupt(
        Format("its L1 table at {} is not in the file, which has {} bytes", header.l1_offset, file_bytes));
  }
  const uint64_t table_bytes = uint64_t{header.refcount_table_clusters} << header.cluster_bits;
  if (table_bytes == 0 || table_bytes > kMaxRefcountTableBytes) {
    return Corrupt(
        Format("a refcount table of {} bytes; 1 to {} are possible", table_bytes, kMaxRefcountTableBytes));
  }
  if (header.refcount_table_offset == 0 || !within(header.refcount_table_offset, table_bytes)) {
    return Corrupt(Format("its refcount table at {} is not in the file", header.refcount_table_offset));
  }
  if (header.snapshots > kMaxSnapshots) {
    return Corrupt(Format("{} snapshots; at most {} are possible", header.snapshots, kMaxSnapshots));
  }
  if (header.snapshots != 0 &&
      (header.snapshots_offset == 0 || !within(header.snapshots_offset, sizeof(SnapshotWire)))) {
    return Corrupt(Format("its snapshot table at {} is not in the file", header.snapshots_offset));
  }
  return {};
}

Result<> ParseFixed(const HeaderWire& wire, Header* header, uint32_t* header_bytes) {
  if (wire.magic != kMagic) {
    return Fail(Errc::kCorrupt, "it is no qcow2 image: the first bytes are not 'QFI\\xfb'");
  }
  header->version = wire.version;
  if (header->version != 2 && header->version != 3) {
    return Fail(Errc::kUnsupported, "it is qcow2 version {}; nandu knows 2 and 3", header->version);
  }
  header->cluster_bits = wire.cluster_bits;
  if (header->cluster_bits < kMinClusterBits || header->cluster_bits > kMaxClusterBits) {
    return Corrupt(Format("clusters of 2^{} bytes; 2^{} to 2^{} are possible", header->cluster_bits,
                          kMinClusterBits, kMaxClusterBits));
  }
  header->size_bytes = AlignDown(wire.size, 512);  // whole sectors, as QEMU shows them
  if (wire.size > INT64_MAX) {
    return Corrupt(Format("a disk of {} bytes", uint64_t{wire.size}));
  }
  if (wire.crypt_method != 0) {
    return Fail(
        Errc::kUnsupported,
        "it is encrypted ({}), which nandu does not read yet; make a plain copy: qemu-img convert -O qcow2",
        wire.crypt_method == 2 ? "LUKS" : "AES");
  }
  header->l1_entries = wire.l1_size;
  header->l1_offset = wire.l1_table_offset;
  header->refcount_table_offset = wire.refcount_table_offset;
  header->refcount_table_clusters = wire.refcount_table_clusters;
  header->snapshots = wire.nb_snapshots;
  header->snapshots_offset = wire.snapshots_offset;
  *header_bytes = kHeaderBytesV2;
  if (header->version == 2) {
    return {};
  }
  *header_bytes = wire.header_length;
  if (*header_bytes < kHeaderBytesV3 || *header_bytes % 8 != 0 || *header_bytes > header->cluster_bytes()) {
    return Corrupt(Format("a header of {} bytes", *header_bytes));
  }
  header->incompatible = wire.incompatible_features;
  header->compatible = wire.compatible_features;
  header->autoclear = wire.autoclear_features;
  header->refcount_order = wire.refcount_order;
  if (header->refcount_order > 6) {
    return Corrupt(Format("refcounts of 2^{} bits; 1 to 64 are possible", header->refcount_order));
  }
  if (*header_bytes > offsetof(HeaderWire, compression_type)) {
    header->compression = wire.compression_type;
  }
  return {};
}

// What ParseFixed took, against each other.
Result<> CheckChoices(const Header& header) {
  const bool says_compression = (header.incompatible & kCompressionType) != 0;
  if (says_compression != (header.compression != 0)) {
    return Corrupt(Format("compression type {} contradicts its feature bit", header.compression));
  }
  if (header.compression > 1) {
    return Fail(Errc::kUnsupported,
                "its clusters are compressed by method {}; nandu knows 0 (zlib) and 1 (zstd)",
                header.compression);
  }
  if (header.extended_l2() && header.cluster_bits < 14) {
    return Corrupt("extended L2 entries with clusters below 16 KiB");
  }
  return {};
}

Result<> ParseExtension(uint32_t type, std::span<const std::byte> data, Header* header,
                        std::span<const std::byte>* feature_names) {
  const std::string text(reinterpret_cast<const char*>(data.data()), data.size());
  switch (type) {
    case kExtensionBackingFormat:
      if (data.size() > 15) {
        return Corrupt("the name of the backing file's format is too long");
      }
      header->backing_format = text;
      return {};
    case kExtensionDataFile:
      if (data.size() > kMaxBackingNameBytes) {
        return Corrupt("the name of its data file is too long");
      }
      header->data_file = text;
      return {};
    case kExtensionFeatureNames: *feature_names = data; return {};
    case kExtensionBitmaps: {
      BitmapsWire wire;
      if (data.size() != sizeof(wire)) {
        return Corrupt("its bitmaps extension has a wrong size");
      }
      std::memcpy(&wire, data.data(), sizeof(wire));
      if (wire.count == 0 || wire.count > kMaxBitmaps || wire.directory_bytes > kMaxSnapshotTableBytes ||
          wire.directory_offset % header->cluster_bytes() != 0 || wire.directory_offset >= kMaxHostOffset) {
        return Corrupt("its bitmaps extension names no possible directory");
      }
      header->bitmaps = Header::Bitmaps{wire.count, wire.directory_offset, wire.directory_bytes};
      return {};
    }
    default: return {};  // "Unknown header extension, can be safely ignored"
  }
}

Result<> ParseExtensions(std::span<const std::byte> cluster, size_t at, size_t end, Header* header,
                         std::span<const std::byte>* feature_names) {
  while (at + sizeof(ExtensionWire) <= end) {
    ExtensionWire extension;
    std::memcpy(&extension, cluster.data() + at, sizeof(extension));
    at += sizeof(extension);
    if (extension.type == kExtensionEnd) {
      return {};
    }
    if (extension.length > end - at) {
      return Corrupt(
          Format("header extension {:#x} reaches past the header's cluster", uint32_t{extension.type}));
    }
    TRY(ParseExtension(extension.type, cluster.subspan(at, extension.length), header, feature_names));
    at += AlignUp(extension.length, 8);
  }
  return {};
}

}  // namespace

Result<Header> ReadHeader(ReadableFile& file) {
  Header header;
  HeaderWire wire{};
  if (file.size() < kHeaderBytesV2) {
    return Fail(Errc::kCorrupt, "it is no qcow2 image: {} bytes are too few", file.size());
  }
  TRY(file.Read(0, {reinterpret_cast<std::byte*>(&wire), sizeof(wire)}));
  uint32_t header_bytes = 0;
  TRY(ParseFixed(wire, &header, &header_bytes));
  std::vector<std::byte> cluster(std::min(header.cluster_bytes(), AlignUp(file.size(), 512)));
  TRY(file.Read(0, cluster));
  size_t end = cluster.size();
  if (wire.backing_file_offset != 0) {
    const uint64_t offset = wire.backing_file_offset;
    const uint32_t bytes = wire.backing_file_size;
    if (bytes == 0 || bytes > kMaxBackingNameBytes || offset < header_bytes || offset > cluster.size() ||
        bytes > cluster.size() - offset) {
      return tl::unexpected<Error>(Corrupt("the backing file's name is not in the header's cluster").error());
    }
    header.backing_file.assign(reinterpret_cast<const char*>(cluster.data()) + offset, bytes);
    end = offset;
  }
  std::span<const std::byte> feature_names;
  if (header_bytes <= end) {
    TRY(ParseExtensions(cluster, header_bytes, end, &header, &feature_names));
  }
  // First what it needs: the rest may mean something else to who knows it.
  TRY(CheckFeatures(header, feature_names));
  TRY(CheckChoices(header));
  TRY(CheckTables(header, file.size()));
  for (const std::string* name : {&header.backing_file, &header.data_file}) {
    if (name->find('\0') != std::string::npos) {
      return tl::unexpected<Error>(Corrupt("a file name in it has a zero byte").error());
    }
  }
  return header;
}

namespace {

template <size_t kBytes>
Result<> Patch(ImageFile& file, const HeaderWire& wire, size_t at) {
  std::byte part[kBytes];
  std::memcpy(part, reinterpret_cast<const std::byte*>(&wire) + at, kBytes);
  return file.Write(at, part);
}

}  // namespace

Result<> WriteFeatures(ImageFile& file, const Header& header) {
  HeaderWire wire{};
  wire.incompatible_features = header.incompatible;
  wire.compatible_features = header.compatible;
  wire.autoclear_features = header.autoclear;
  return Patch<24>(file, wire, offsetof(HeaderWire, incompatible_features));
}

Result<> WriteRefcountTable(ImageFile& file, const Header& header) {
  HeaderWire wire{};
  wire.refcount_table_offset = header.refcount_table_offset;
  wire.refcount_table_clusters = header.refcount_table_clusters;
  return Patch<12>(file, wire, offsetof(HeaderWire, refcount_table_offset));
}

Result<> WriteDisk(ImageFile& file, const Header& header) {
  HeaderWire wire{};
  wire.size = header.size_bytes;
  wire.crypt_method = 0;
  wire.l1_size = header.l1_entries;
  wire.l1_table_offset = header.l1_offset;
  return Patch<24>(file, wire, offsetof(HeaderWire, size));
}

Result<> WriteSnapshots(ImageFile& file, const Header& header) {
  HeaderWire wire{};
  wire.nb_snapshots = header.snapshots;
  wire.snapshots_offset = header.snapshots_offset;
  return Patch<12>(file, wire, offsetof(HeaderWire, nb_snapshots));
}

}  // namespace nandu::qcow2
