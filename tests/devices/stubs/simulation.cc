/* Preloaded in place of functions of MindSpore's simulation of Ascend. */
#include <string>

#include <unistd.h>

namespace mindspore {
/* The simulation leaves the name of the chip empty, and kernel selection depends on it. */
struct MsContext {
  std::string ascend_soc_version() const;
  std::string ascend_soc_name() const;
};

std::string MsContext::ascend_soc_version() const { return "ascend910b"; }
std::string MsContext::ascend_soc_name() const { return "ascend910b"; }

/* Two threads wait with this function for reports of the device, and begin again when it returns. The function of the
   simulation returns at once, which keeps a core busy. */
namespace device::ascend {
template <typename Result>
Result SimuFuncIaclrtProcessReport(int timeout);

template <>
int SimuFuncIaclrtProcessReport<int>(int) {
  usleep(10000);
  return 0;
}
}  // namespace device::ascend
}  // namespace mindspore
