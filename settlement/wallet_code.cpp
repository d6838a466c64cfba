#include "settlement/wallet_code.hpp"

#include "settlement/boc.hpp"

namespace cocoon::settlement::ton {

CellRef wallet_code(std::string_view code) { return parse_boc(from_base64(code).value()).value(); }

}  // namespace cocoon::settlement::ton
