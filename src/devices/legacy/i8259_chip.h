// One 8259A: eight request lines, their masks and priorities, and the commands that program it. Pure logic;
// the caller holds the lock. Intel 8259A datasheet (231468), "Programming the 8259A"; the edge/level register
// is the ICH9's (datasheet 316972, section 13.4).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/described.h"
#include "base/result.h"

namespace nandu {

// Which byte of the initialisation sequence is expected next.
enum class I8259Init : uint8_t { kNone, kIcw2, kIcw3, kIcw4 };
BOOST_DESCRIBE_ENUM(I8259Init, kNone, kIcw2, kIcw3, kIcw4)

struct I8259ChipState {
  uint8_t lines = 0;       // levels as they came in
  uint8_t requests = 0;    // IRR
  uint8_t in_service = 0;  // ISR
  uint8_t masked = 0;      // IMR
  uint8_t level = 0;       // ELCR: level-triggered lines
  uint8_t vector_base = 0;
  uint8_t highest = 0;  // the line of highest priority; the others follow in turn
  I8259Init init = I8259Init::kNone;
  bool single = false;      // ICW1, SNGL: no ICW3
  bool wants_icw4 = false;  // ICW1, IC4
  bool read_in_service = false;
  bool poll = false;
  bool special_mask = false;
  bool fully_nested = false;  // ICW4, SFNM
  bool auto_eoi = false;
  bool rotate_on_auto_eoi = false;
};

class I8259Chip {
 public:
  static constexpr unsigned kLines = 8;
  static constexpr unsigned kSpurious = 7;  // "Interrupt sequence": answered when no request is left
  enum class Role : uint8_t { kMaster, kSlave };

  // `level_possible`: lines whose ELCR bit can be set.
  I8259Chip(Role role, uint8_t level_possible) : role_(role), level_possible_(level_possible) {}

  void SetLine(unsigned line, bool high);
  // The line that would be acknowledged now, if the INT output is high.
  std::optional<unsigned> Pending() const;
  // INTA: the request goes into service.
  void Acknowledge(unsigned line);
  uint8_t VectorOf(unsigned line) const { return static_cast<uint8_t>(state_.vector_base + line); }

  // What a read of the command port or the data port gives. In poll mode it acknowledges.
  uint8_t Read(unsigned port);
  void Write(unsigned port, uint8_t value);
  uint8_t ReadElcr() const { return state_.level; }
  void WriteElcr(uint8_t value);

  void Reset();  // the lines keep their levels
  const I8259ChipState& state() const { return state_; }
  void Load(const I8259ChipState& state) { state_ = state; }
  Result<> Check(const I8259ChipState& state) const;

 private:
  unsigned RankOf(unsigned line) const { return (line - state_.highest) & 7; }
  std::optional<unsigned> First(uint8_t lines) const;  // in priority order
  void Initialise(uint8_t icw1);
  void Operate2(uint8_t ocw2);
  void Operate3(uint8_t ocw3);
  void WriteData(uint8_t value);
  void LowerPriority(unsigned line) { state_.highest = static_cast<uint8_t>((line + 1) & 7); }

  const Role role_;
  const uint8_t level_possible_;
  I8259ChipState state_;
};

}  // namespace nandu
