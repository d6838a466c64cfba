// Words of the page that verifies receipts, and of each of its checks: what it is called, what it proves, and what it
// does not.
import { words, type Message } from '../format/words';
import type { Check } from '../verify/finding';

export const t = words({
  title: ['Verify a receipt', 'Verificar um recibo', 'Проверить квитанцию'],
  help: ['Signatures, hashes and arithmetic are checked here, in your browser. Nothing you paste leaves it.', 'Assinaturas, hashes e contas são conferidos aqui, no seu navegador. Nada do que você colar sai dele.', 'Подписи, хеши и расчёты проверяются здесь, в вашем браузере. Вставленное никуда не отправляется.'],
  caveat: ['This page came from the market. For a judgement that owes it nothing, run cocoon-client verify, which also checks the vendors’ signatures.', 'Esta página veio do mercado. Para um veredito independente, use cocoon-client verify, que também confere as assinaturas dos fabricantes.', 'Эта страница получена от рынка. Независимую проверку, включая подписи производителей, выполняет cocoon-client verify.'],
  papers: ['What to verify', 'O que verificar', 'Что проверить'],
  by_job: ['A job of yours', 'Um trabalho seu', 'Ваша работа'],
  job: ['Job', 'Trabalho', 'Работа'],
  by_job_help: ['Reads its receipt, its record and the evidence it was matched on.', 'Lê o recibo, o registro e a evidência com que foi casado.', 'Загружает квитанцию, запись и доказательства, по которым работа была назначена.'],
  sign_in_first: ['Sign in to read your jobs here; pasted papers need no account.', 'Entre para ler seus trabalhos aqui; documentos colados não precisam de conta.', 'Войдите, чтобы загрузить свои работы; для вставленных документов вход не нужен.'],
  fetch: ['Read it', 'Ler', 'Загрузить'],
  receipt: ['Receipt', 'Recibo', 'Квитанция'],
  receipt_hint: ['The market’s JSON, or the file that cocoon-client keeps', 'O JSON do mercado, ou o arquivo que o cocoon-client guarda', 'JSON рынка или файл, который хранит cocoon-client'],
  evidence: ['Evidence', 'Evidência', 'Доказательства'],
  evidence_hint: ['JSON of /v1/nodes/…/evidence; already inside the client’s file', 'JSON de /v1/nodes/…/evidence; já incluído no arquivo do cliente', 'JSON из /v1/nodes/…/evidence; в файле клиента уже есть'],
  evidence_of: ['Read the evidence of {node}', 'Ler a evidência de {node}', 'Загрузить доказательства {node}'],
  market_key: ['The market’s key', 'Chave do mercado', 'Ключ рынка'],
  market_key_hint: ['As this market gives it now. Better: one that you noted earlier.', 'Como este mercado informa agora. Melhor: uma que você anotou antes.', 'Как его сейчас называет рынок. Лучше — тот, что вы записали раньше.'],
  file: ['Open a file', 'Abrir arquivo', 'Открыть файл'],
  unreadable: ['This cannot be read: {why}', 'Não foi possível ler: {why}', 'Не удалось прочесть: {why}'],
  findings: ['Check by check', 'Item por item', 'По пунктам'],
  nothing_yet: ['Paste a receipt, open a file, or name a job', 'Cole um recibo, abra um arquivo ou indique um trabalho', 'Вставьте квитанцию, откройте файл или укажите работу'],
  some_failed: ['Do not trust this: {count} checks failed', 'Não confie nisto: {count} verificações falharam', 'Не доверяйте этому: не пройдено проверок: {count}'],
  all_passed: ['{count} checks passed; {open} could not be made here', '{count} verificações passaram; {open} não puderam ser feitas aqui', 'Пройдено проверок: {count}; здесь не выполнено: {open}'],
  proves: ['Proves', 'Prova', 'Доказывает'],
  does_not: ['Does not prove', 'Não prova', 'Не доказывает'],
  would_prove: ['Failed; it would prove', 'Falhou; provaria', 'Не пройдено; доказывало бы'],
  needs: ['Not checked', 'Não verificado', 'Не проверено'],
  cost: ['Cost', 'Custo', 'Стоимость'],
  solvency: ['Solvency', 'Solvência', 'Платёжеспособность'],
  solvency_help: ['What the market owes to all accounts and what its wallet holds, signed by the market and checked here, in your browser.', 'O que o mercado deve a todas as contas e o que sua carteira guarda, assinado pelo mercado e conferido aqui, no seu navegador.', 'Сколько рынок должен всем аккаунтам и сколько в его кошельке: подписано рынком, проверено здесь, в вашем браузере.'],
  owed_to_all: ['Owed to all', 'Devido a todos', 'Должны всем'],
  accounts: ['{count} accounts', '{count} contas', 'аккаунтов: {count}'],
  in_wallet: ['In the wallet', 'Na carteira', 'В кошельке'],
  on_hold: ['of it on hold', 'dela, retido', 'из них на удержании'],
  chain_unseen: ['unknown', 'desconhecido', 'неизвестно'],
  chain_unseen_note: ['the chain cannot be seen now', 'a cadeia não está visível agora', 'цепочка сейчас недоступна'],
  newer_than_proof: ['Your account is newer than this proof. The next one, within a minute or so, counts it.', 'Sua conta é mais nova que esta prova. A próxima, em cerca de um minuto, a inclui.', 'Ваш аккаунт новее этого доказательства. Следующее, примерно через минуту, его учтёт.'],
  yours: ['Owed to you', 'Devido a você', 'Должны вам'],
  yours_note: ['counted in the sum', 'contado na soma', 'учтено в сумме'],
  as_of: ['As of', 'Em', 'На момент'],
  journal: ['journal sequence {sequence}', 'sequência {sequence} do diário', 'номер журнала {sequence}'],
  root: ['Root', 'Raiz', 'Корень'],
  keep_it: ['Keep the file: cocoon-client verify --solvency checks it without this page.', 'Guarde o arquivo: cocoon-client verify --solvency confere sem esta página.', 'Сохраните файл: cocoon-client verify --solvency проверит его без этой страницы.'],
  download: ['Download', 'Baixar', 'Скачать'],
  keyset: ['Keyset', 'Conjunto de chaves', 'Набор ключей'],
});

interface Words {
  name: Message;
  proves: Message;
  does_not: Message;
  /** Why it was not checked. */
  needs: Message;
}

const no_keyset: Message = ['Needs the node’s evidence, which carries its keyset.', 'Precisa da evidência do nó, que traz o conjunto de chaves.', 'Нужны доказательства узла: в них набор его ключей.'];
const no_evidence: Message = ['Needs the node’s evidence.', 'Precisa da evidência do nó.', 'Нужны доказательства узла.'];
const no_client: Message = ['Only the file that cocoon-client keeps knows it.', 'Só o arquivo que o cocoon-client guarda sabe disso.', 'Это знает только файл, который хранит cocoon-client.'];

export const explained: Record<Check, Words> = {
  receipt_form: {
    name: ['A receipt of one job', 'Recibo de um trabalho', 'Квитанция одной работы'],
    proves: ['The document is an aci/1 receipt with one job inside and no member that does not belong there.', 'O documento é um recibo aci/1 com um só trabalho e nenhum campo estranho.', 'Документ — квитанция aci/1 с одной работой и без лишних полей.'],
    does_not: ['That anything in it is true.', 'Que algo nele seja verdade.', 'Что написанное в нём правда.'],
    needs: ['No receipt was given.', 'Nenhum recibo foi dado.', 'Квитанция не указана.'],
  },
  keyset: {
    name: ['Keyset digest', 'Digest do conjunto de chaves', 'Хеш набора ключей'],
    proves: ['The keyset shown is the one that the receipt names, octet by octet.', 'O conjunto de chaves mostrado é o que o recibo nomeia, octeto por octeto.', 'Показан именно тот набор ключей, который назван в квитанции.'],
    does_not: ['Whose keys these are: the evidence below does.', 'De quem são as chaves: a evidência abaixo diz.', 'Чьи это ключи: об этом говорят доказательства ниже.'],
    needs: no_keyset,
  },
  node_signature: {
    name: ['The node’s signature', 'Assinatura do nó', 'Подпись узла'],
    proves: ['A key of that keyset signed every word of this receipt (Ed25519).', 'Uma chave desse conjunto assinou cada palavra deste recibo (Ed25519).', 'Ключ этого набора подписал каждое слово квитанции (Ed25519).'],
    does_not: ['That the machine counted honestly: that rests on the software it was measured with.', 'Que a máquina contou com honestidade: isso depende do software medido nela.', 'Что машина считала честно: это зависит от измеренного на ней ПО.'],
    needs: no_keyset,
  },
  keyset_in_force: {
    name: ['Keys in force', 'Chaves em vigor', 'Ключи действовали'],
    proves: ['The work was done before the keyset ended.', 'O trabalho foi feito antes do fim do conjunto de chaves.', 'Работа выполнена до конца срока набора ключей.'],
    does_not: ['The exact time: it is the node’s clock.', 'A hora exata: é o relógio do nó.', 'Точное время: это часы узла.'],
    needs: no_keyset,
  },
  market_cosignature: {
    name: ['The market’s signature', 'Assinatura do mercado', 'Подпись рынка'],
    proves: ['The market took this very receipt and cannot deny it.', 'O mercado aceitou exatamente este recibo e não pode negar.', 'Рынок принял именно эту квитанцию и не может этого отрицать.'],
    does_not: ['That the market could read the work: it signs hashes of sealed octets.', 'Que o mercado pudesse ler o trabalho: ele assina hashes de octetos lacrados.', 'Что рынок мог прочесть работу: он подписывает хеши запечатанного.'],
    needs: ['Needs the cosigned receipt and the market’s key.', 'Precisa do recibo cossinado e da chave do mercado.', 'Нужны квитанция с подписью рынка и его ключ.'],
  },
  cost: {
    name: ['The cost', 'O custo', 'Стоимость'],
    proves: ['Usage times price, rounded up once, is the cost it names.', 'Uso vezes preço, arredondado para cima uma vez, é o custo indicado.', 'Объём, умноженный на цену и один раз округлённый вверх, равен названной стоимости.'],
    does_not: ['That the usage is right.', 'Que o uso esteja certo.', 'Что объём верен.'],
    needs: ['No receipt was given.', 'Nenhum recibo foi dado.', 'Квитанция не указана.'],
  },
  hash_chain: {
    name: ['Chain of hashes', 'Cadeia de hashes', 'Цепочка хешей'],
    proves: ['What came in, what was charged and what went out are tied to the same sealed octets.', 'O que entrou, o que foi cobrado e o que saiu estão ligados aos mesmos octetos lacrados.', 'Полученное, оплаченное и отданное связаны с одними и теми же запечатанными данными.'],
    does_not: ['What the octets say: nobody without the key can tell.', 'O que os octetos dizem: sem a chave ninguém sabe.', 'Что в них написано: без ключа этого не узнает никто.'],
    needs: ['No receipt was given.', 'Nenhum recibo foi dado.', 'Квитанция не указана.'],
  },
  job_record: {
    name: ['The market’s record', 'O registro do mercado', 'Запись рынка'],
    proves: ['The receipt is of this job and this node, and what was captured is what it says.', 'O recibo é deste trabalho e deste nó, e o valor capturado é o que ele diz.', 'Квитанция — об этой работе и этом узле, и списано столько, сколько в ней сказано.'],
    does_not: ['More than the market’s word beside the node’s.', 'Mais que a palavra do mercado ao lado da do nó.', 'Ничего сверх слова рынка рядом со словом узла.'],
    needs: ['Name the job to compare.', 'Indique o trabalho para comparar.', 'Укажите работу, чтобы сравнить.'],
  },
  agreed_price: {
    name: ['The agreed price', 'O preço combinado', 'Условленная цена'],
    proves: ['The prices charged are those of the match.', 'Os preços cobrados são os do casamento.', 'Списано по ценам сделки.'],
    does_not: ['That no cheaper offer stood beside it.', 'Que não houvesse oferta mais barata.', 'Что рядом не было предложения дешевле.'],
    needs: ['Name the job, or open the client’s file.', 'Indique o trabalho ou abra o arquivo do cliente.', 'Укажите работу или откройте файл клиента.'],
  },
  reported_usage: {
    name: ['The usage you saw', 'O uso que você viu', 'Объём, который видели вы'],
    proves: ['The receipt counts the tokens that the answer itself reported.', 'O recibo conta os tokens que a própria resposta informou.', 'В квитанции столько же токенов, сколько назвал сам ответ.'],
    does_not: ['That the engine counted right.', 'Que o motor contou certo.', 'Что движок посчитал верно.'],
    needs: no_client,
  },
  sealed_request: {
    name: ['Your sealed request', 'Seu pedido lacrado', 'Ваш запечатанный запрос'],
    proves: ['The node worked on the octets that your client sealed.', 'O nó trabalhou com os octetos que seu cliente lacrou.', 'Узел работал с тем, что запечатал ваш клиент.'],
    does_not: ['Anything about the answer.', 'Nada sobre a resposta.', 'Ничего об ответе.'],
    needs: no_client,
  },
  sealed_response: {
    name: ['Your sealed answer', 'Sua resposta lacrada', 'Ваш запечатанный ответ'],
    proves: ['The answer that reached your client is the one the node signed for.', 'A resposta que chegou ao seu cliente é a que o nó assinou.', 'До клиента дошёл тот ответ, за который расписался узел.'],
    does_not: ['That the answer is any good.', 'Que a resposta seja boa.', 'Что ответ хорош.'],
    needs: no_client,
  },
  evidence_hash: {
    name: ['Evidence hash', 'Hash da evidência', 'Хеш доказательств'],
    proves: ['The evidence shown is the one it is filed under.', 'A evidência mostrada é a que está registrada.', 'Показаны те доказательства, под чьим хешем они записаны.'],
    does_not: ['That the evidence is genuine.', 'Que a evidência seja genuína.', 'Что доказательства подлинны.'],
    needs: ['No hash to compare with was given.', 'Nenhum hash para comparar.', 'Не с чем сравнить хеш.'],
  },
  binding: {
    name: ['Evidence binds the keys', 'A evidência vincula as chaves', 'Доказательства связаны с ключами'],
    proves: ['The report data of the evidence is the hash of this keyset and the market’s challenge: it was made for these keys.', 'Os dados do relatório são o hash deste conjunto de chaves e do desafio do mercado: foi feito para estas chaves.', 'Данные отчёта — хеш этого набора ключей и вызова рынка: отчёт сделан именно для них.'],
    does_not: ['That a real processor made it.', 'Que um processador real o tenha feito.', 'Что отчёт создал настоящий процессор.'],
    needs: no_evidence,
  },
  gpu_binding: {
    name: ['GPUs bound to the processor', 'GPUs vinculadas ao processador', 'GPU связаны с процессором'],
    proves: ['Every GPU answered a nonce made of the processor’s report.', 'Cada GPU respondeu a um nonce feito do relatório do processador.', 'Каждая GPU ответила на число, полученное из отчёта процессора.'],
    does_not: ['That no other GPU is in the machine.', 'Que não haja outra GPU na máquina.', 'Что в машине нет других GPU.'],
    needs: ['This evidence holds no GPU reports.', 'Esta evidência não traz relatórios de GPU.', 'В этих доказательствах нет отчётов GPU.'],
  },
  hardware: {
    name: ['The vendor’s signature', 'Assinatura do fabricante', 'Подпись производителя'],
    proves: ['—', '—', '—'],
    does_not: ['—', '—', '—'],
    needs: ['A page cannot judge it: that takes the vendors’ certificate chains and revocation lists. cocoon-client verify and attest do. Evidence of the simulated tier has none.', 'Uma página não pode julgar: exige as cadeias de certificados e listas de revogação dos fabricantes. cocoon-client verify e attest fazem isso. A evidência simulada não tem nenhuma.', 'Страница этого решить не может: нужны цепочки сертификатов и списки отзыва производителей. Это делают cocoon-client verify и attest. У имитации такой подписи нет.'],
  },
  statement_form: {
    name: ['A statement of solvency', 'Declaração de solvência', 'Заявление о платёжеспособности'],
    proves: ['The document is such a statement, with no member that does not belong there.', 'O documento é uma dessas declarações, sem campo estranho.', 'Документ — такое заявление, без лишних полей.'],
    does_not: ['That anything in it is true.', 'Que algo nele seja verdade.', 'Что написанное в нём правда.'],
    needs: ['No statement was read.', 'Nenhuma declaração foi lida.', 'Заявление не загружено.'],
  },
  market_statement: {
    name: ['The market’s signature', 'Assinatura do mercado', 'Подпись рынка'],
    proves: ['The market said this and cannot deny it.', 'O mercado disse isto e não pode negar.', 'Рынок это заявил и не может отрицать.'],
    does_not: ['That it says the same to everybody: compare the root with others.', 'Que diga o mesmo a todos: compare a raiz com outras pessoas.', 'Что всем он говорит одно и то же: сравните корень с другими.'],
    needs: ['Needs the market’s key.', 'Precisa da chave do mercado.', 'Нужен ключ рынка.'],
  },
  own_leaf: {
    name: ['Your money is counted', 'Seu dinheiro está contado', 'Ваши деньги учтены'],
    proves: ['The signed sum counts the amount shown as owed to this account.', 'A soma assinada conta o valor mostrado como devido a esta conta.', 'Подписанная сумма учитывает указанный долг перед этим аккаунтом.'],
    does_not: ['That others are counted: each can check their own.', 'Que os outros estejam contados: cada um confere o seu.', 'Что учтены другие: каждый проверяет своё.'],
    needs: ['Sign in, and your own leaf is read and checked.', 'Entre, e sua própria folha é lida e conferida.', 'Войдите, и ваш лист будет загружен и проверен.'],
  },
  wallet_covers: {
    name: ['Enough to pay all', 'Suficiente para pagar todos', 'Хватит на всех'],
    proves: ['By the figures signed, the wallet holds at least what is owed.', 'Pelos números assinados, a carteira tem ao menos o que se deve.', 'По подписанным числам в кошельке не меньше, чем должны.'],
    does_not: ['That the wallet holds it.', 'Que a carteira o tenha.', 'Что в кошельке это есть.'],
    needs: ['The market could not see the chain: nobody knows what it holds.', 'O mercado não via a cadeia: ninguém sabe o que ela guarda.', 'Рынок не видел цепочку: сколько в кошельке, не знает никто.'],
  },
  wallet_on_chain: {
    name: ['The wallet on the chain', 'A carteira na cadeia', 'Кошелёк в цепочке'],
    proves: ['—', '—', '—'],
    does_not: ['—', '—', '—'],
    needs: ['This page asks nobody but the market. Look the address up in an explorer that you trust.', 'Esta página só pergunta ao mercado. Procure o endereço num explorador em que você confia.', 'Эта страница обращается только к рынку. Найдите адрес в обозревателе, которому доверяете.'],
  },
};
