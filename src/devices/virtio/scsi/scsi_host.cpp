#include "devices/virtio/scsi/scsi_host.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "devices/storage/bytes.h"
#include "devices/storage/scatter.h"

namespace nandu {

using vscsi::Response;

namespace {

constexpr unsigned kRequestsPerTurn = 256;  // before other users of the loop get theirs again

// 5.6.6.1: channel, target and a LUN of 14 bits, in either of SAM-5's single-level forms.
bool TakePlace(const uint8_t* lun, ScsiPlace* place) {
  place->target = lun[1];
  place->lun = static_cast<uint16_t>((lun[2] << 8 | lun[3]) & 0x3fff);
  return lun[0] == 1;
}

}  // namespace

ScsiHost::ScsiHost(EventLoop& loop, unsigned request_queues) : loop_(loop) {
  for (unsigned index = 0; index < vscsi::kFirstRequestQueue + request_queues; ++index) {
    queues_.push_back(std::make_unique<Queue>());
    Queue* const queue = queues_.back().get();
    queue->flush = [queue] { queue->ring->Flush(); };
  }
}

ScsiHost::~ScsiHost() {
  for (const auto& queue : queues_) {
    NANDU_CHECK(!queue->ring, "a SCSI controller is quiesced before it is destroyed");
  }
}

void ScsiHost::Put(ScsiPlace place, std::shared_ptr<ScsiUnit> unit) { units_[place] = std::move(unit); }

void ScsiHost::ResetUnits() {
  for (const auto& [place, unit] : units_) {
    unit->Reset();
  }
}

void ScsiHost::Start(ActiveQueue active, const std::vector<ParkedChain>& parked) {
  const unsigned index = active.index;
  Queue& queue = *queues_[index];
  queue.ring.emplace(std::move(active.queue));
  queue.doorbell = active.doorbell;
  queue.gate.Open();
  for (const ParkedChain& each : parked) {
    if (std::optional<DescChain> chain = queue.ring->Unpark(each)) {
      if (index >= vscsi::kFirstRequestQueue) {
        Begin(index, std::move(*chain));
      } else {
        Complete(index, std::move(*chain), 0);  // neither of the other two parks anything
      }
    }
  }
  queue.watch = queue.doorbell->Watch(
      loop_, [this, index] { Serve(index); }, [&queue] { return queue.ring->HasAvailable(); });
}

void ScsiHost::Stop(unsigned index, UniqueFunction<void(std::optional<QueueAtRest>)> done) {
  Queue& queue = *queues_[index];
  if (!queue.ring) {
    done(std::nullopt);
    return;
  }
  queue.watch.reset();
  queue.gate.Close([this, index, &queue, done = std::move(done)] {
    loop_.CancelTurnEnd(&queue.flush);
    queue.ring->Flush();
    QueueAtRest rest{index, std::move(*queue.ring), std::exchange(queue.parked, {})};
    queue.ring.reset();
    done(std::move(rest));
  });
}

void ScsiHost::Serve(unsigned index) {
  Queue& queue = *queues_[index];
  if (index == vscsi::kEventQueue) {
    // 5.6.6.3: buffers wait here until there is something to tell.
    if (events_missed.load(std::memory_order_relaxed)) {
      SendEvent(vscsi::kNoEvent, {}, 0);
    }
    return;
  }
  unsigned budget = kRequestsPerTurn;
  do {
    queue.ring->DisableKicks();
    while (std::optional<DescChain> chain = queue.ring->Pop()) {
      if (index == vscsi::kControlQueue) {
        Control(std::move(*chain));
      } else {
        Begin(index, std::move(*chain));
      }
      if (--budget == 0) {
        counters_.turns_cut.Add();
        queue.doorbell->Ring();
        return;
      }
    }
  } while (queue.ring->EnableKicks());
}

void ScsiHost::Complete(unsigned index, DescChain&& chain, uint32_t written) {
  queues_[index]->ring->CompleteBatch(std::move(chain), written);
  loop_.AtTurnEnd(&queues_[index]->flush);
}

ScsiHost::Request* ScsiHost::Acquire() {
  if (free_.empty()) {
    auto made = std::make_unique<Request>();
    made->host = this;
    made->scsi.owner = made.get();
    made->scsi.done = OnDone;
    free_.push_back(made.get());
    requests_.push_back(std::move(made));
  }
  Request* const request = free_.back();
  free_.pop_back();
  return request;
}

void ScsiHost::Begin(unsigned index, DescChain&& chain) {
  counters_.requests.Add();
  const size_t cdb_bytes = cdb_size.load(std::memory_order_relaxed);
  const size_t sense_bytes = sense_size.load(std::memory_order_relaxed);
  std::array<uint8_t, vscsi::kRequestHead + vscsi::kMaxCdbSize> head{};
  const size_t response_bytes = vscsi::kResponseHead + sense_bytes;
  if (!chain.ReadHeader(head.data(), vscsi::kRequestHead + cdb_bytes) ||
      chain.writable_bytes() < response_bytes) {
    counters_.short_requests.Add();
    Complete(index, std::move(chain), 0);
    return;
  }
  Request& request = *Acquire();
  request.chain.emplace(std::move(chain));
  request.queue = index;
  request.in_flight = true;
  request.sense_room = sense_bytes;
  const bool entered = queues_[index]->gate.Enter();
  NANDU_CHECK(entered, "requests begin while the gate is open");
  const bool addressed = TakePlace(head.data(), &request.place);
  request.tag = Le64(&head[8]);
  request.scsi.cdb.fill(0);
  std::memcpy(request.scsi.cdb.data(), &head[vscsi::kRequestHead],
              std::min(cdb_bytes, request.scsi.cdb.size()));
  request.scsi.out = request.chain->readable();
  Slice(request.chain->writable(), response_bytes, UINT64_MAX, &request.in);
  request.scsi.in = request.in;
  request.data_bytes = request.chain->readable_bytes() + BytesOf(request.in);
  Dispatch(request, !addressed || !HasTarget(request.place.target));
}

bool ScsiHost::HasTarget(uint8_t target) const {
  const auto first = units_.lower_bound({target, 0});
  return first != units_.end() && first->first.target == target;
}

void ScsiHost::Dispatch(Request& request, bool bad_address) {
  if (bad_address) {
    counters_.bad_targets.Add();
    Finish(request, Response::kBadTarget);
    return;
  }
  if (!request.scsi.out.empty() && !request.in.empty()) {
    counters_.both_ways.Add();  // VIRTIO_SCSI_F_INOUT was not offered
    Finish(request, Response::kFailure);
    return;
  }
  const auto found = units_.find(request.place);
  const scsi::Op op{request.scsi.cdb[0]};
  if (op == scsi::Op::kReportLuns && (request.place.lun == 0 || found != units_.end())) {
    ReportLuns(request);
    return;
  }
  if (found != units_.end()) {
    found->second->Execute(&request.scsi);
    return;
  }
  // SPC-4, 6.4.2: a LUN that is not there says so to INQUIRY, and fails the rest.
  counters_.bad_units.Add();
  request.scsi.status = scsi::Status::kGood;
  request.scsi.moved = 0;
  if (op == scsi::Op::kInquiry) {
    std::array<uint8_t, 36> reply{};
    reply[0] = 0x7f;
    const size_t wanted = std::min<size_t>(reply.size(), Be16(&request.scsi.cdb[3]));
    request.scsi.moved = CopyInto(request.in, 0, reply.data(), wanted);
  } else {
    request.scsi.status = scsi::Status::kCheckCondition;
    request.scsi.sense = scsi::kNoSuchUnit;
  }
  Finish(request, Response::kOk);
}

// SPC-4, 6.33.
void ScsiHost::ReportLuns(Request& request) {
  const uint32_t allocation = Be32(&request.scsi.cdb[6]);
  request.scsi.status = scsi::Status::kGood;
  request.scsi.moved = 0;
  if (allocation < 16) {
    request.scsi.status = scsi::Status::kCheckCondition;
    request.scsi.sense = scsi::kBadField;
    Finish(request, Response::kOk);
    return;
  }
  std::vector<uint8_t> reply(16);  // LUN 0 is there in any case
  for (auto at = units_.lower_bound({request.place.target, 1});
       at != units_.end() && at->first.target == request.place.target; ++at) {
    const uint16_t lun = at->first.lun;
    reply.resize(reply.size() + 8);
    reply[reply.size() - 8] = static_cast<uint8_t>(lun < 256 ? 0 : 0x40 | lun >> 8);
    reply[reply.size() - 7] = static_cast<uint8_t>(lun);
  }
  PutBe(reply.data(), reply.size() - 8, 4);
  request.scsi.moved = CopyInto(request.in, 0, reply.data(), std::min<size_t>(reply.size(), allocation));
  Finish(request, Response::kOk);
}

void ScsiHost::OnDone(ScsiCommand* command) {
  Request& request = *static_cast<Request*>(command->owner);
  request.host->Finish(request, command->overrun ? Response::kOverrun : Response::kOk);
}

void ScsiHost::Finish(Request& request, Response response) {
  const unsigned index = request.queue;
  Queue& queue = *queues_[index];
  const std::shared_ptr<Function> function = std::exchange(request.ended_by, nullptr);
  request.in_flight = false;
  if (request.scsi.parked && function == nullptr) {
    request.scsi.parked = false;
    counters_.parked.Add();
    request.chain->MarkAllWritten();
    queue.parked.push_back(queue.ring->Park(std::move(*request.chain)));
  } else {
    if (function != nullptr) {
      counters_.aborted.Add();
      response = function->reset ? Response::kReset : Response::kAborted;
      request.scsi.status = scsi::Status::kGood;
      request.scsi.moved = 0;
      request.chain->MarkAllWritten();
    }
    const bool check = request.scsi.status == scsi::Status::kCheckCondition && response == Response::kOk;
    const auto sense = SenseBytes(request.scsi.sense);
    const size_t sense_bytes = check ? std::min(request.sense_room, sense.size()) : 0;
    const uint64_t residual =
        response == Response::kOk && !check ? request.data_bytes - request.scsi.moved : 0;
    std::array<uint8_t, vscsi::kResponseHead> head{};
    PutLe16(&head[0], static_cast<unsigned>(sense_bytes));
    const auto left = static_cast<uint32_t>(std::min<uint64_t>(residual, UINT32_MAX));
    std::memcpy(&head[4], &left, sizeof(left));
    head[10] = response == Response::kOk ? static_cast<uint8_t>(request.scsi.status) : 0;
    head[11] = static_cast<uint8_t>(response);
    request.chain->Write(0, head.data(), head.size());
    request.chain->Write(head.size(), sense.data(), sense_bytes);
    const uint64_t read = request.in.empty() || check ? 0 : request.scsi.moved;
    if (check && !request.in.empty()) {
      request.chain->MarkAllWritten();  // some of it may have arrived
    }
    Complete(index, std::move(*request.chain),
             static_cast<uint32_t>(std::min<uint64_t>(head.size() + request.sense_room + read, UINT32_MAX)));
  }
  request.scsi.parked = false;
  request.chain.reset();
  free_.push_back(&request);
  if (function != nullptr && function.use_count() == 1) {
    function->Answer();
  }
  queue.gate.Leave();  // last: this may give the queue away
}

}  // namespace nandu
