#include "devices/virtio/blk/blk_request.h"

#include <algorithm>

#include "base/checked.h"

namespace nandu {
namespace {

using blk::Status;

constexpr BlkVerdict Answer(Status status, uint32_t written = 0) { return {false, status, written}; }
constexpr BlkVerdict kSubmit = {true, Status::kOk, 0};

// 5.2.6.1: a request lies within the capacity and consists of whole blocks.
bool RangeFits(const BlkShared& shared, uint64_t sector, uint64_t bytes) {
  const uint64_t size_bytes = shared.size_bytes.load(std::memory_order_relaxed);
  if (sector > size_bytes / blk::kSectorBytes || bytes > blk::kMaxRequestSectors * blk::kSectorBytes) {
    return false;
  }
  const uint64_t offset = sector * blk::kSectorBytes;
  return bytes <= size_bytes - offset && offset % shared.logical_block_size == 0 &&
         bytes % shared.logical_block_size == 0;
}

BlkVerdict ParseTransfer(BlkShared& shared, BlkRequest& request, uint64_t sector, bool is_read) {
  const uint64_t bytes = is_read ? request.chain->writable_bytes() : request.chain->readable_bytes();
  if (!is_read && shared.read_only) {
    // 5.2.6.2: a device MUST set the status to IOERR for a write request if the device is read-only
    shared.counters.read_only.Add();
    return Answer(Status::kIoError);
  }
  if (!RangeFits(shared, sector, bytes)) {
    shared.counters.bad_ranges.Add();
    return Answer(Status::kIoError);
  }
  if (bytes == 0) {
    return Answer(Status::kOk);
  }
  request.io.op = is_read ? BlockRequest::Op::kRead : BlockRequest::Op::kWrite;
  request.io.iov = is_read ? request.chain->writable() : request.chain->readable();
  request.io.offset = sector * blk::kSectorBytes;
  request.io.bytes = bytes;
  request.io.fua = !is_read && !shared.writeback.load(std::memory_order_relaxed);
  (is_read ? shared.counters.reads : shared.counters.writes).Add();
  (is_read ? shared.counters.read_bytes : shared.counters.written_bytes).Add(bytes);
  return kSubmit;
}

// Discard and write zeroes carry one segment, as the configuration says (max_discard_seg and
// max_write_zeroes_seg are 1).
BlkVerdict ParseRange(BlkShared& shared, BlkRequest& request, bool is_discard) {
  blk::RangeSegment segment{};
  if (!(is_discard ? shared.discard : shared.write_zeroes)) {
    shared.counters.unsupported.Add();
    return Answer(Status::kUnsupported);
  }
  if (shared.read_only) {
    shared.counters.read_only.Add();
    return Answer(Status::kIoError);
  }
  const uint64_t bytes = request.chain->readable_bytes();
  if (bytes != sizeof(segment) || !request.chain->ReadHeader(&segment, sizeof(segment))) {
    shared.counters.bad_segments.Add();
    // 5.2.6.2 leaves the status of too many segments open; as QEMU
    return Answer(bytes > sizeof(segment) && bytes % sizeof(segment) == 0 ? Status::kUnsupported
                                                                          : Status::kIoError);
  }
  // 5.2.6.2: an unknown flag, and unmap for a discard, MUST be answered with UNSUPP
  if ((segment.flags & ~(is_discard ? 0 : blk::kRangeUnmap)) != 0) {
    shared.counters.bad_segments.Add();
    return Answer(Status::kUnsupported);
  }
  if (segment.num_sectors > (is_discard ? shared.max_discard_sectors : shared.max_write_zeroes_sectors)) {
    shared.counters.bad_segments.Add();
    return Answer(Status::kIoError);
  }
  const uint64_t length = segment.num_sectors * blk::kSectorBytes;
  if (!RangeFits(shared, segment.sector, length)) {
    shared.counters.bad_ranges.Add();
    return Answer(Status::kIoError);
  }
  if (length == 0) {
    return Answer(Status::kOk);
  }
  request.io.op = is_discard ? BlockRequest::Op::kDiscard : BlockRequest::Op::kWriteZeroes;
  request.io.offset = segment.sector * blk::kSectorBytes;
  request.io.bytes = length;
  request.io.may_unmap = !is_discard && (segment.flags & blk::kRangeUnmap) != 0;
  request.io.fua = !is_discard && !shared.writeback.load(std::memory_order_relaxed);
  (is_discard ? shared.counters.discards : shared.counters.write_zeroes).Add();
  return kSubmit;
}

BlkVerdict ParseGetId(BlkShared& shared, BlkRequest& request) {
  shared.counters.get_ids.Add();
  const size_t bytes = std::min<uint64_t>(request.chain->writable_bytes(), shared.serial.size());
  request.chain->Write(0, shared.serial.data(), bytes);
  return Answer(Status::kOk, static_cast<uint32_t>(bytes));
}

}  // namespace

BlkVerdict ParseBlkRequest(BlkShared& shared, BlkRequest& request) {
  blk::RequestHeader header{};
  if (!request.chain->ReadHeader(&header, sizeof(header))) {
    shared.counters.short_requests.Add();
    return Answer(Status::kIoError);
  }
  request.io.fua = request.io.may_unmap = false;
  request.io.offset = request.io.bytes = 0;
  request.io.iov = {};
  switch (header.type & ~blk::kTypeBarrier) {
    case blk::kTypeIn: return ParseTransfer(shared, request, header.sector, true);
    case blk::kTypeOut: return ParseTransfer(shared, request, header.sector, false);
    case blk::kTypeFlush:
    case blk::kTypeFlushOut:
      shared.counters.flushes.Add();
      request.io.op = BlockRequest::Op::kFlush;
      return kSubmit;
    case blk::kTypeGetId: return ParseGetId(shared, request);
    case blk::kTypeDiscard: return ParseRange(shared, request, true);
    case blk::kTypeWriteZeroes: return ParseRange(shared, request, false);
    default:
      shared.counters.unsupported.Add();  // 5.2.6.2: MUST be answered with UNSUPP
      return Answer(Status::kUnsupported);
  }
}

}  // namespace nandu
