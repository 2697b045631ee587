// Task management and events. virtio 1.2, sections 5.6.6.2 and 5.6.6.3. The host's loop.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "devices/storage/bytes.h"
#include "devices/virtio/scsi/scsi_host.h"

namespace nandu {

using vscsi::Response;
using vscsi::Tmf;

void ScsiHost::AnswerFunction(DescChain&& chain, Response response) {
  const auto byte = static_cast<uint8_t>(response);
  const uint32_t written = chain.Write(0, &byte, 1) ? 1 : 0;
  Complete(vscsi::kControlQueue, std::move(chain), written);
}

void ScsiHost::Control(DescChain&& chain) {
  vscsi::TmfRequest request{};
  uint32_t type = 0;
  constexpr size_t kQueryBytes = 16;
  if (chain.readable_bytes() < kQueryBytes || !chain.ReadHeader(&request, kQueryBytes)) {
    counters_.short_requests.Add();
    Complete(vscsi::kControlQueue, std::move(chain), 0);
    return;
  }
  std::memcpy(&type, &request, sizeof(type));
  if (type == vscsi::kTypeQuery || type == vscsi::kTypeSubscribe) {
    // No asynchronous notification is there to be asked for.
    const std::array<uint8_t, 5> none{};
    const uint32_t written = chain.Write(0, none.data(), none.size()) ? 5 : 0;
    Complete(vscsi::kControlQueue, std::move(chain), written);
    return;
  }
  if (type != vscsi::kTypeTmf || !chain.ReadHeader(&request.tag, sizeof(request.tag))) {
    counters_.short_requests.Add();
    Complete(vscsi::kControlQueue, std::move(chain), 0);
    return;
  }
  TaskFunction(std::move(chain), request);
}

void ScsiHost::TaskFunction(DescChain&& chain, const vscsi::TmfRequest& request) {
  counters_.task_functions.Add();
  const ScsiPlace place{request.lun[1], static_cast<uint16_t>((request.lun[2] << 8 | request.lun[3]) & 0x3fff)};
  const Tmf kind{request.subtype};
  if (kind == Tmf::kClearAca || request.subtype > static_cast<uint32_t>(Tmf::kQueryTaskSet)) {
    counters_.rejected_functions.Add();
    AnswerFunction(std::move(chain), Response::kFunctionRejected);
    return;
  }
  if (request.lun[0] != 1 || !HasTarget(place.target)) {
    counters_.bad_targets.Add();
    AnswerFunction(std::move(chain), Response::kBadTarget);
    return;
  }
  const bool whole_target = kind == Tmf::kNexusReset;
  if (!whole_target && !units_.contains(place)) {
    counters_.bad_units.Add();
    AnswerFunction(std::move(chain), Response::kIncorrectLun);
    return;
  }
  const bool one = kind == Tmf::kAbortTask || kind == Tmf::kQueryTask;
  const auto meant = [&](const Request& each) {
    return each.in_flight && each.place.target == place.target && (whole_target || each.place.lun == place.lun) &&
           (!one || each.tag == request.tag);
  };
  if (kind == Tmf::kQueryTask || kind == Tmf::kQueryTaskSet) {
    const bool any = std::any_of(requests_.begin(), requests_.end(), [&](const auto& each) { return meant(*each); });
    AnswerFunction(std::move(chain), any ? Response::kFunctionSucceeded : Response::kOk);
    return;
  }
  // What the host has begun is not taken back: the function is over when it has ended, and its answer is dropped.
  auto function = std::make_shared<Function>();
  function->host = this;
  function->reset = whole_target || kind == Tmf::kUnitReset;
  const bool entered = queues_[vscsi::kControlQueue]->gate.Enter();
  NANDU_CHECK(entered, "functions begin while the gate is open");
  function->chain.emplace(std::move(chain));
  for (const auto& [at, unit] : units_) {
    if (function->reset && at.target == place.target && (whole_target || at.lun == place.lun)) {
      function->units.push_back(unit);
    }
  }
  for (const auto& each : requests_) {
    if (meant(*each) && each->ended_by == nullptr) {
      each->ended_by = function;
    }
  }
  if (function.use_count() == 1) {
    function->Answer();
  }
}

void ScsiHost::Function::Answer() {
  for (const std::shared_ptr<ScsiUnit>& unit : units) {
    unit->Reset();
  }
  host->AnswerFunction(std::move(*chain), response);
  chain.reset();
  host->queues_[vscsi::kControlQueue]->gate.Leave();
}

void ScsiHost::CapacityChanged(ScsiPlace place) {
  const auto found = units_.find(place);
  if (found == units_.end()) {
    return;
  }
  found->second->Attention(scsi::kCapacityChanged);
  if (tells_changes.load(std::memory_order_relaxed)) {
    SendEvent(vscsi::kParameterChange, place,
              uint32_t{scsi::kCapacityChanged.code} | uint32_t{scsi::kCapacityChanged.qualifier} << 8);
  }
}

void ScsiHost::SendEvent(uint32_t event, ScsiPlace place, uint32_t reason) {
  Queue& queue = *queues_[vscsi::kEventQueue];
  std::optional<DescChain> chain = queue.ring ? queue.ring->Pop() : std::nullopt;
  if (!chain) {
    // 5.6.6.3: the next event says that some were missed.
    counters_.missed_events.Add();
    events_missed.store(true, std::memory_order_relaxed);
    return;
  }
  vscsi::Event told{};
  told.event = event | (events_missed.exchange(false, std::memory_order_relaxed) ? vscsi::kEventsMissed : 0);
  if (event != vscsi::kNoEvent) {
    told.lun[0] = 1;
    told.lun[1] = place.target;
    told.lun[2] = static_cast<uint8_t>(0x40 | place.lun >> 8);
    told.lun[3] = static_cast<uint8_t>(place.lun);
  }
  told.reason = reason;
  counters_.events.Add();
  const uint32_t written = chain->Write(0, &told, sizeof(told)) ? sizeof(told) : 0;
  Complete(vscsi::kEventQueue, std::move(*chain), written);
}

}  // namespace nandu
