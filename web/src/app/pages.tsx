// The table of pages. Their first segments also stand in public/pages.txt, which tells the server what to answer with
// index.html; a test keeps both equal.
import { lazy, Suspense, type ComponentType } from 'react';
import { Route, Routes } from 'react-router-dom';
import { Frame } from './frame';
import { NotFound } from './not_found';
import { Skeleton } from '../ui/parts';

const page = <Name extends string>(load: () => Promise<Record<Name, ComponentType>>, name: Name) =>
  lazy(async () => ({ default: (await load())[name] }));

const Home = page(() => import('../public/home'), 'Home');
const MarketPage = page(() => import('../public/market'), 'MarketPage');
const NetworkPage = page(() => import('../public/network'), 'NetworkPage');
const NodePage = page(() => import('../public/node'), 'NodePage');
const JoinPage = page(() => import('../public/join'), 'JoinPage');
const VerifyPage = page(() => import('../verify/page'), 'VerifyPage');
const SolvencyPage = page(() => import('../verify/solvency_page'), 'SolvencyPage');
const RegisterPage = page(() => import('../register/page'), 'RegisterPage');
const EntryPage = page(() => import('../register/entry'), 'EntryPage');
const SignIn = page(() => import('../desk/sign_in'), 'SignIn');
const SignUp = page(() => import('../desk/sign_up'), 'SignUp');
const WalletPage = page(() => import('../wallet/page'), 'WalletPage');
const DeveloperDesk = page(() => import('../developer/desk'), 'DeveloperDesk');
const ProviderDesk = page(() => import('../provider/desk'), 'ProviderDesk');
const AdminDesk = page(() => import('../admin/desk'), 'AdminDesk');

export const pages: [path: string, Page: ComponentType][] = [
  ['/', Home],
  ['/markets', Home],
  ['/markets/:name', MarketPage],
  ['/nodes', NetworkPage],
  ['/nodes/:id', NodePage],
  ['/join', JoinPage],
  ['/measurements', RegisterPage],
  ['/measurements/:id', EntryPage],
  ['/verify', VerifyPage],
  ['/solvency', SolvencyPage],
  ['/sign-in', SignIn],
  ['/sign-up/:kind', SignUp],
  ['/wallet/:name/:purpose', WalletPage],
  ['/developer/*', DeveloperDesk],
  ['/provider/*', ProviderDesk],
  ['/admin/*', AdminDesk],
];

export function Pages() {
  return (
    <Frame>
      <Suspense fallback={<Skeleton />}>
        <Routes>
          {pages.map(([path, Page]) => (
            <Route key={path} path={path} element={<Page />} />
          ))}
          <Route path="*" element={<NotFound />} />
        </Routes>
      </Suspense>
    </Frame>
  );
}
