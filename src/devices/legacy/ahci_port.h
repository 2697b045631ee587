// The data half of one AHCI port with a drive: reads command lists, tables and regions from guest memory,
// hands commands to the drive, tells the registers what became of them. Serial ATA AHCI 1.3.1, sections 4.2
// and 5.
//
// Lives on one I/O loop and takes no lock of its own; Kick, Stuck and the constructor: any thread. Queued
// commands run together, others alone. A command is 32 pooled records at most.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/counter.h"
#include "base/unique_function.h"
#include "devices/legacy/ahci_hba.h"
#include "devices/storage/ata_drive.h"
#include "loop/event_loop.h"
#include "memory/dma_space.h"

namespace nandu {

class AhciPort final : public AhciHba::Engine, public std::enable_shared_from_this<AhciPort> {
 public:
  AhciPort(EventLoop& loop, AhciHba& hba, unsigned index, DmaSpace& dma, std::shared_ptr<AtaDrive> drive);
  ~AhciPort() override;

  struct Counters {
    Counter commands, bus_faults, bad_fises, parked;
  };
  const Counters& counters() const { return counters_; }
  EventLoop& loop() const { return loop_; }
  AtaDrive& drive() { return *drive_; }

  void Kick() override;
  uint32_t signature() const override { return drive_->signature(); }
  uint8_t reset_status() const override { return drive_->reset_status(); }

  // ---- on the loop ----
  void Serve();
  // `done` once nothing is in flight. With kPause nothing is begun until Resume.
  enum class Then : uint8_t { kGoOn, kPause };
  void Drain(Then then, UniqueFunction<void()> done);
  void Resume();
  void ResetDrive();

  std::vector<std::string> Stuck() const;

 private:
  struct Slot {
    AtaCommand ata;
    AhciPort* port = nullptr;
    unsigned number = 0;
    uint32_t generation = 0;
    uint64_t list_base = 0;
    std::shared_ptr<const GuestMemory> memory;  // pins the pages of `pieces`
    std::vector<iovec> pieces;
    struct Segment {
      uint64_t address;
      uint64_t bytes;
    };
    std::vector<Segment> segments;
  };

  void StartWaiting();
  // False: it has to wait for others.
  bool Start(Slot& slot);
  bool ReadRegions(Slot& slot, uint64_t table, uint32_t count);
  void Control(Slot& slot, uint8_t control);
  void Answer(Slot& slot, AhciHba::Answer::Kind kind);
  static void OnDone(AtaCommand* command);
  void Leave(Slot& slot);

  EventLoop& loop_;
  AhciHba& hba_;
  const unsigned index_;
  DmaSpace& dma_;
  const std::shared_ptr<AtaDrive> drive_;
  Counters counters_;
  std::atomic<bool> kicked_{false};
  std::array<Slot, 32> slots_;
  uint32_t waiting_ = 0;  // taken, not begun
  uint32_t running_ = 0;
  bool alone_ = false;  // what runs is not a queued command
  bool soft_reset_ = false;
  bool paused_ = false;
  bool held_ = false;  // a command was parked: the VM stops
  bool starting_ = false;
  unsigned next_ = 0;  // slots are taken round robin
  std::vector<UniqueFunction<void()>> drained_;
};

}  // namespace nandu
