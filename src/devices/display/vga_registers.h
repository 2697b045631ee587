// Names of VGA's ports, registers and bits. Constants only. IBM VGA; FreeVGA (osdever.net/FreeVGA), "VGA
// chips".
#pragma once

#include <cstdint>

namespace nandu::vga {

// Ports, as they stand on the ISA bus.
constexpr unsigned kFirstPort = 0x3b0;
constexpr unsigned kPorts = 0x30;
constexpr unsigned kMonoCrtcIndex = 0x3b4;
constexpr unsigned kMonoCrtcData = 0x3b5;
constexpr unsigned kMonoStatus1 = 0x3ba;
constexpr unsigned kAttributeIndex = 0x3c0;  // and data, in turn
constexpr unsigned kAttributeData = 0x3c1;   // read
constexpr unsigned kMiscWrite = 0x3c2;       // reads as input status 0
constexpr unsigned kSequencerIndex = 0x3c4;
constexpr unsigned kSequencerData = 0x3c5;
constexpr unsigned kPelMask = 0x3c6;
constexpr unsigned kDacReadIndex = 0x3c7;  // reads as the DAC's state
constexpr unsigned kDacWriteIndex = 0x3c8;
constexpr unsigned kDacData = 0x3c9;
constexpr unsigned kFeatureRead = 0x3ca;
constexpr unsigned kMiscRead = 0x3cc;
constexpr unsigned kGraphicsIndex = 0x3ce;
constexpr unsigned kGraphicsData = 0x3cf;
constexpr unsigned kColourCrtcIndex = 0x3d4;
constexpr unsigned kColourCrtcData = 0x3d5;
constexpr unsigned kColourStatus1 = 0x3da;  // written: feature control

constexpr uint8_t kMiscColour = 0x01;  // the CRT controller is at 3d4, not at 3b4
constexpr uint8_t kMiscWritable = 0xef;
constexpr uint8_t kStatusDisplayOff = 0x01;  // input status 1
constexpr uint8_t kStatusRetrace = 0x08;

// Sequencer.
constexpr unsigned kClocking = 1;
constexpr uint8_t kClockingEightDots = 0x01;
constexpr uint8_t kClockingHalfRate = 0x08;  // every dot is two wide
constexpr uint8_t kClockingScreenOff = 0x20;
constexpr unsigned kMapMask = 2;
constexpr unsigned kCharacterMap = 3;
constexpr unsigned kMemoryMode = 4;
constexpr uint8_t kMemoryChain4 = 0x08;

// Graphics controller.
constexpr unsigned kSetReset = 0;
constexpr unsigned kEnableSetReset = 1;
constexpr unsigned kColourCompare = 2;
constexpr unsigned kDataRotate = 3;
constexpr unsigned kReadMap = 4;
constexpr unsigned kMode = 5;
constexpr uint8_t kModeWrite = 0x03;
constexpr uint8_t kModeReadCompare = 0x08;
constexpr uint8_t kModeOddEven = 0x10;
constexpr uint8_t kModeInterleaved = 0x20;
constexpr uint8_t kMode256 = 0x40;
constexpr unsigned kMiscellaneous = 6;
constexpr uint8_t kMiscGraphics = 0x01;
constexpr unsigned kColourDontCare = 7;
constexpr unsigned kBitMask = 8;

// CRT controller.
constexpr unsigned kHorizontalEnd = 0x01;
constexpr unsigned kOverflow = 0x07;
constexpr unsigned kMaximumScan = 0x09;
constexpr unsigned kCursorStart = 0x0a;
constexpr unsigned kCursorEnd = 0x0b;
constexpr unsigned kStartHigh = 0x0c;
constexpr unsigned kStartLow = 0x0d;
constexpr unsigned kCursorHigh = 0x0e;
constexpr unsigned kCursorLow = 0x0f;
constexpr unsigned kRetraceEnd = 0x11;
constexpr uint8_t kRetraceEndLock = 0x80;  // registers 0 to 7 are locked, apart from bit 4 of 7
constexpr unsigned kVerticalEnd = 0x12;
constexpr unsigned kOffset = 0x13;
constexpr unsigned kCrtcMode = 0x17;
constexpr unsigned kLineCompare = 0x18;

// Attribute controller.
constexpr unsigned kAttributeMode = 0x10;
constexpr uint8_t kAttributeLineGraphics = 0x04;
constexpr uint8_t kAttributeBlink = 0x08;
constexpr uint8_t kAttributeColourSelect =
    0x80;  // bits 5 and 4 of a colour come from the colour select register
constexpr unsigned kColourPlanes = 0x12;
constexpr unsigned kColourSelect = 0x14;
constexpr uint8_t kAttributePaletteOn = 0x20;  // in the index: the screen shows

constexpr unsigned kPlaneBytes = 64 * 1024;  // VGA's own: four planes
constexpr unsigned kPlanes = 4;
constexpr uint64_t kWindowBase = 0xa0000;
constexpr uint64_t kWindowBytes = 0x20000;

}  // namespace nandu::vga
