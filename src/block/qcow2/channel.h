// A qcow2 image's channel: one queue's way to it. See BlockChannel for threads and lifetime.
//
// A request enters the image's ranges, shared, and asks the mapping in memory. What is data goes to the
// file's channel, what is not allocated to the backing node's, zeroes are filled in. Where the mapping is not
// cached the strand loads it. What changes the mapping enters the ranges alone, which waits for everybody who
// still uses the old one, and is done by the strand.
#pragma once

#include <memory>
#include <vector>

#include "block/qcow2/node_image.h"

namespace nandu::qcow2 {

class Channel final : public BlockChannel {
 public:
  // `backing` may be null.
  Channel(EventLoop& loop, std::shared_ptr<NodeImage> image, std::unique_ptr<BlockChannel> data,
          std::unique_ptr<BlockChannel> backing);
  ~Channel() override;
  void Submit(BlockRequest* request) override;

 private:
  enum class Work : uint8_t { kLoad, kRead, kWrite, kZero, kDiscard, kFlush };
  enum class Then : uint8_t { kGoOn, kFinish };
  struct Operation;
  struct Ticket : RangeTracker::Ticket {
    Operation* operation = nullptr;
  };
  struct Job : WorkerJob {
    Operation* operation = nullptr;
  };
  struct Child : BlockRequest {
    Operation* operation = nullptr;
  };
  // One request on its way. Pooled.
  struct Operation {
    Channel* channel = nullptr;
    BlockRequest* caller = nullptr;
    Ticket ticket;
    Child child;
    Job job;
    std::vector<iovec> part;  // of the caller's vector, for the child or the strand
    uint64_t done_bytes = 0;
    uint64_t part_bytes = 0;
    unsigned loads = 0;    // without getting further
    bool checked = false;  // a write: all of it may go straight to the file
    bool in_ranges = false;
    Work work = Work::kLoad;
    Then then = Then::kGoOn;
    uint64_t work_offset = 0;
    int sys_errno = 0;
    bool failed = false;

    uint64_t at() const { return caller->offset + done_bytes; }
    uint64_t left() const { return caller->bytes - done_bytes; }
  };
  static constexpr unsigned kMaxLoads =
      8;  // a cache that holds less than the request: the strand does all of it

  Operation* Take(BlockRequest* request);
  void Enter(Operation* operation, bool exclusive);
  void EnterAlone(Operation* operation);
  void Serve(Operation* operation);
  void GoOn(Operation* operation);
  void Read(Operation* operation);
  void Write(Operation* operation);
  bool CheckWrite(Operation* operation);
  void Load(Operation* operation, uint64_t offset, Then then);
  void SendChild(Operation* operation, BlockChannel& channel, uint64_t offset, uint64_t bytes);
  void OnChild(Operation* operation, BlkStatus status);
  void RunOnStrand(Operation* operation, Work work, Then then);
  static void OnStrand(WorkerJob* job);
  Result<> DoWork(Operation* operation);
  void OnStrandDone(Operation* operation);
  void Finish(Operation* operation, BlkStatus status);
  void Answer(Operation* operation, BlkStatus status);
  bool Durable(const Operation& operation) const { return operation.caller->fua || image_->write_through; }
  // Whether the file's channel can serve all of the extent.
  bool InFile(const Extent& extent) const;

  EventLoop& loop_;
  const std::shared_ptr<NodeImage> image_;
  const std::unique_ptr<BlockChannel> data_;
  const std::unique_ptr<BlockChannel> backing_;
  bool submitting_ = false;
  std::vector<std::unique_ptr<Operation>> all_;
  std::vector<Operation*> idle_;
};

}  // namespace nandu::qcow2
