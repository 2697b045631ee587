// What CI systems read of a boot test.
#include "verbs/boot_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace nandu {
namespace {

using testing::HasSubstr;
using testing::Not;

BootOutcome Outcome() {
  BootOutcome outcome;
  outcome.image = "a<b>.raw";
  outcome.reason = "no \"sign\" & none";
  outcome.stages = {{BootStage::kFirmware, 0}, {BootStage::kKernel, 1500}};
  outcome.ended_ms = 4000;
  outcome.log = "\x1b[1mhello\x1b[0m <x>\x01\n";
  return outcome;
}

TEST(BootReport, ALineForPeople) {
  BootOutcome outcome = Outcome();
  EXPECT_EQ(OutcomeLine(outcome), "FAILED  a<b>.raw (4.0 s): no \"sign\" & none");
  outcome.passed = true;
  EXPECT_EQ(OutcomeLine(outcome), "ok      a<b>.raw (4.0 s): no \"sign\" & none");
}

TEST(BootReport, JunitHoldsNothingThatXmlForbids) {
  const std::string xml = JunitXml({Outcome(), Outcome()});
  EXPECT_THAT(xml, HasSubstr("tests=\"2\" failures=\"2\" errors=\"0\" time=\"8.000\""));
  EXPECT_THAT(xml, HasSubstr("name=\"a&lt;b&gt;.raw\" time=\"4.000\""));
  EXPECT_THAT(xml, HasSubstr("<failure message=\"no &quot;sign&quot; &amp; none\"/>"));
  EXPECT_THAT(xml, HasSubstr("[1mhello[0m &lt;x&gt;\n"));
  EXPECT_THAT(xml, Not(HasSubstr("\x1b")));
  EXPECT_THAT(xml, Not(HasSubstr("\x01")));
}

TEST(BootReport, AStageEndsWhereTheNextBegins) {
  const auto timeline = ParseJson(TimelineJson(Outcome()));
  ASSERT_TRUE(timeline.has_value());
  EXPECT_EQ(
      JsonText(timeline->as_object().at("stages")),
      R"([{"stage": "firmware", "begin-ms": 0, "end-ms": 1500}, {"stage": "kernel", "begin-ms": 1500, "end-ms": 4000}])");
}

TEST(BootReport, ThePictureHasABarAStage) {
  const std::string svg = TimelineSvg(Outcome());
  EXPECT_THAT(svg, HasSubstr(">firmware</text>"));
  EXPECT_THAT(svg, HasSubstr("<rect x=\"335.0\" y=\"62\" width=\"375.0\""));
  EXPECT_THAT(svg, HasSubstr("a&lt;b&gt;.raw"));
}

}  // namespace
}  // namespace nandu
