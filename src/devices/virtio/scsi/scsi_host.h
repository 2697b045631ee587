// The data half of virtio-scsi: all its queues, and the logical units behind them. virtio 1.2, section 5.6.6.
//
// Lives on one I/O loop and takes no lock; Stuck, the sizes' setters and the counters: any thread. Units are put in and taken
// out on the loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/counter.h"
#include "devices/storage/scsi_unit.h"
#include "devices/virtio/scsi/scsi_host_wire.h"
#include "devices/virtio/virtio_device.h"
#include "loop/event_loop.h"
#include "loop/gate.h"

namespace nandu {

// Where a unit is: channel 0 has 256 targets.
struct ScsiPlace {
  uint8_t target = 0;
  uint16_t lun = 0;
  auto operator<=>(const ScsiPlace&) const = default;
};

struct ScsiHostCounters {
  Counter requests, short_requests, bad_targets, bad_units, both_ways, overruns;
  Counter task_functions, rejected_functions, aborted;
  Counter events, missed_events;
  Counter turns_cut, parked;
};

class ScsiHost {
 public:
  ScsiHost(EventLoop& loop, unsigned request_queues);
  ~ScsiHost();
  ScsiHost(const ScsiHost&) = delete;
  ScsiHost& operator=(const ScsiHost&) = delete;

  EventLoop& loop() const { return loop_; }
  const ScsiHostCounters& counters() const { return counters_; }
  unsigned queue_count() const { return static_cast<unsigned>(queues_.size()); }
  std::atomic<uint32_t> sense_size{vscsi::kDefaultSenseSize};  // as the driver set them
  std::atomic<uint32_t> cdb_size{vscsi::kDefaultCdbSize};
  std::atomic<bool> events_missed{false};
  std::atomic<bool> tells_changes{false};  // the driver took the feature

  // ---- on the loop ----
  void Put(ScsiPlace place, std::shared_ptr<ScsiUnit> unit);
  void Remove(ScsiPlace place) { units_.erase(place); }
  void ResetUnits();
  void Start(ActiveQueue active, const std::vector<ParkedChain>& parked);
  // Takes no more, waits for what is in flight, gives the queue back. nullopt: there was none.
  void Stop(unsigned index, UniqueFunction<void(std::optional<QueueAtRest>)> done);
  void CapacityChanged(ScsiPlace place);

 private:
  struct Function;
  struct Queue {
    std::optional<Virtqueue> ring;
    Doorbell* doorbell = nullptr;
    std::unique_ptr<EventWatch> watch;
    Gate gate;
    std::vector<ParkedChain> parked;
    UniqueFunction<void()> flush;
  };
  struct Request {
    ScsiHost* host = nullptr;
    ScsiCommand scsi;
    std::optional<DescChain> chain;
    unsigned queue = 0;
    ScsiPlace place;
    uint64_t tag = 0;
    uint64_t data_bytes = 0;  // the guest's buffer for data
    size_t sense_room = 0;
    bool in_flight = false;
    std::shared_ptr<Function> ended_by;  // a task management function waits for it
    std::vector<iovec> in;
  };
  // A task management function that waits for requests to end; answered when the last of them lets go of it.
  struct Function {
    ScsiHost* host = nullptr;
    std::optional<DescChain> chain;
    vscsi::Response response = vscsi::Response::kOk;
    bool reset = false;
    std::vector<std::shared_ptr<ScsiUnit>> units;  // to be reset
    void Answer();
  };

  void Serve(unsigned index);
  void Begin(unsigned index, DescChain&& chain);
  void Dispatch(Request& request, bool bad_address);
  void ReportLuns(Request& request);
  void Finish(Request& request, vscsi::Response response);
  static void OnDone(ScsiCommand* command);
  void Complete(unsigned index, DescChain&& chain, uint32_t written);
  Request* Acquire();

  void Control(DescChain&& chain);
  void TaskFunction(DescChain&& chain, const vscsi::TmfRequest& request);
  void AnswerFunction(DescChain&& chain, vscsi::Response response);
  bool HasTarget(uint8_t target) const;
  void SendEvent(uint32_t event, ScsiPlace place, uint32_t reason);

  EventLoop& loop_;
  ScsiHostCounters counters_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::map<ScsiPlace, std::shared_ptr<ScsiUnit>> units_;
  std::vector<std::unique_ptr<Request>> requests_;  // all there are
  std::vector<Request*> free_;
};

}  // namespace nandu
